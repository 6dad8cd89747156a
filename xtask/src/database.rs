//! The database that a command works with: one that is named, or a private one.

use crate::{checkout, say};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use cofrap_crypto::{Keyring, Sealed};
use cofrap_edge::STATEMENTS;
use cofrap_host::{LocalPostgres, PostgresHome, VariableSource, postgres_variables};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

/// The database's name where the specification leaves it to a default.
const DATABASE: &str = "mspr2_cofrap";

/// How long a named database may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct DatabaseArgs {
    /// A running PostgreSQL, 14 or newer: postgres://user:password@host:port/database [default: a private one]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
}

impl DatabaseArgs {
    pub(crate) const fn is_named(&self) -> bool {
        self.database_url.is_some()
    }
}

/// A database that answers.
pub(crate) struct Database {
    config: Config,
    variables: VariableSource,
    private: Option<LocalPostgres>,
}

impl Database {
    /// Connects to the one that is named, or starts the checkout's own.
    pub(crate) async fn open(arguments: &DatabaseArgs) -> Result<Self> {
        if let Some(url) = &arguments.database_url {
            let config = parse(url)?;
            let database = Self { variables: postgres_variables(&config)?, config, private: None };
            say("connecting to the named database");
            database.connect().await?;
            return Ok(database);
        }
        let server = LocalPostgres::start(PostgresHome::Checkout(checkout().to_owned()), say).await?;
        let config = server.config(DATABASE);
        let created = server.ensure_database(DATABASE).await.context("cannot make the private database");
        let database = Self { variables: postgres_variables(&config)?, config, private: Some(server) };
        match created {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close().await?;
                Err(error)
            }
        }
    }

    /// Applies what is missing, and says what was.
    pub(crate) async fn migrate(&self) -> Result<()> {
        say("migrating the database");
        let mut client = self.connect().await?;
        let report = cofrap_migrations::migrate(&mut client).await.context("the database was not migrated")?;
        match report.applied.as_slice() {
            [] => say("the database's schema is current"),
            applied => say(&format!("migrated the database: {}", applied.join(", "))),
        }
        for id in report.same_name_but_for_case {
            say(&format!("note: the name of users_v2 row {id} differs from another's only in case; both stay"));
        }
        for id in report.unreachable_names {
            say(&format!("note: the name of users_v2 row {id} is one that no request can give; it stays"));
        }
        for (name, statement) in STATEMENTS {
            client.prepare(statement).await.map_err(|error| {
                anyhow!(
                    "the tables are not those of the specification ({name}: {}): nobody could log in",
                    cause(&error)
                )
            })?;
        }
        Ok(())
    }

    /// Refuses keys that do not open what is stored: with them nobody could log in.
    pub(crate) async fn check_keys(&self, variables: &[VariableSource]) -> Result<()> {
        let key = variables.iter().find_map(|source| source.get("encryption_key")).context("there is a key")?;
        let keyring: Keyring = key.parse()?;
        let client = self.connect().await?;
        let newest = "SELECT password::text FROM users_v2 WHERE password LIKE 'gAAAAA%' ORDER BY id DESC LIMIT 1";
        let Some(row) = client.query_opt(newest, &[]).await? else { return Ok(()) };
        if keyring.open(&Sealed::from_stored(row.get(0))).is_err() {
            let remedy = self
                .folder()
                .map_or_else(String::new, |folder| format!(", or remove {} to start from nothing", folder.display()));
            bail!(
                "the encryption key is not the one that the stored accounts were sealed under: put that one back into \
                 SPIN_VARIABLE_ENCRYPTION_KEY (the old .env has it){remedy}"
            );
        }
        Ok(())
    }

    /// The variables that lead the functions to it.
    pub(crate) const fn variables(&self) -> &VariableSource {
        &self.variables
    }

    /// Where its data lies, if that is for us to say.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.private.as_ref().map(LocalPostgres::folder)
    }

    /// Stops it, if it is private.
    pub(crate) async fn close(self) -> Result<()> {
        match self.private {
            Some(server) => {
                say("stopping PostgreSQL");
                server.stop().await
            }
            None => Ok(()),
        }
    }

    async fn connect(&self) -> Result<Client> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.config.connect(NoTls));
        let (client, connection) = match connecting.await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => bail!("cannot use the database: {}: {}", cause(&error), remedy(&error)),
            Err(_) => bail!(
                "the database does not answer within {} seconds: is there a PostgreSQL at that address?",
                CONNECT_TIMEOUT.as_secs()
            ),
        };
        tokio::spawn(connection);
        Ok(client)
    }
}

fn parse(url: &str) -> Result<Config> {
    const SHAPE: &str = "write postgres://user:password@host:port/database, with %40 for an @ in the password";
    let config: Config = url.parse().map_err(|_| anyhow!("the database URL is no PostgreSQL address: {SHAPE}"))?;
    if config.get_ssl_mode() == SslMode::Require {
        bail!("this command speaks no TLS: name the database without sslmode=require, through a local proxy");
    }
    if config.get_user().is_none() {
        bail!("the database URL names no user: {SHAPE}");
    }
    Ok(config)
}

/// The driver's own words hide the cause.
fn cause(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(cause) => cause.message().to_owned(),
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
    }
}

fn remedy(error: &tokio_postgres::Error) -> &'static str {
    match error.code() {
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => "make it with `createdb`",
        Some(code) if *code == SqlState::INVALID_PASSWORD => "is the password right?",
        _ => "is it running, and is the URL right?",
    }
}
