//! A database that a benchmark has for itself.

use anyhow::{Result, anyhow};
use cofrap_crypto::Keyring;
use cofrap_database::{Authorities, VariableSource, database_variables, random_key, say};
use cofrap_host::LocalPostgres;
use tokio_postgres::Client;

/// Its name.
pub(super) const DATABASE: &str = "bench";

/// A migrated database, and the variables that lead the functions to it.
pub(super) struct Prepared {
    pub(super) client: Client,
    pub(super) variables: VariableSource,
    pub(super) keyring: Keyring,
}

impl Prepared {
    pub(super) async fn on(server: &LocalPostgres) -> Result<Self> {
        server.ensure_database(DATABASE).await?;
        let mut config = server.config(DATABASE);
        let mut client = connect(&config).await?;
        cofrap_migrations::migrate(&mut client, say).await?;
        let login = cofrap_migrations::let_functions_log_in(&client, "bench").await?;
        let mut variables = database_variables(config.user(login).password("bench"))?;
        let key = random_key();
        let keyring = parse_keyring(&key)?;
        variables.insert("encryption_key".to_owned(), key);
        variables.insert("jwt_secret".to_owned(), random_key());
        variables.insert("settings".to_owned(), "policy=strict trusted_proxy_hops=1".to_owned());
        Ok(Self { client, variables, keyring })
    }
}

pub(super) fn parse_keyring(key: &str) -> Result<Keyring> {
    key.parse().map_err(|error| anyhow!("variable encryption_key: {error}"))
}

pub(super) async fn connect(config: &tokio_postgres::Config) -> Result<Client> {
    Authorities::default().connect(config).await
}
