//! How a command is told which database it works with.

use crate::address::Address;
use crate::variables::{VariableSource, database_variables};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write as _;
use tokio_postgres::Config;

/// The database's name where the specification leaves it to a default.
pub const DATABASE: &str = "mspr2_cofrap";

/// A database that is named, by a URL or by the names of the OpenFaaS functions' environment.
#[derive(Args)]
pub struct DatabaseArgs {
    /// A running PostgreSQL, 14 or newer: postgres://user:password@host:port/database [default: a private one]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    #[command(flatten)]
    seed: SeedNames,
}

/// The names of the OpenFaaS functions' environment, for who has a database of theirs: `POSTGRES_HOST` and the others lead to it
/// where no URL does.
#[derive(Args)]
struct SeedNames {
    #[arg(long, env = "POSTGRES_HOST", hide = true)]
    postgres_host: Option<String>,
    /// Text: Kubernetes sets `tcp://...` under this name for a service called postgres.
    #[arg(long, env = "POSTGRES_PORT", hide = true, default_value = "5432")]
    postgres_port: String,
    #[arg(long, env = "POSTGRES_DB", hide = true, default_value = DATABASE)]
    postgres_db: String,
    #[arg(long, env = "POSTGRES_USER", hide = true)]
    postgres_user: Option<String>,
    #[arg(long, env = "POSTGRES_PASSWORD", hide = true, hide_env_values = true, default_value = "")]
    postgres_password: String,
    /// What the names above leave open, by PostgreSQL's own: `sslmode` and `sslrootcert` of the URL.
    #[arg(long, env = "PGSSLMODE", hide = true)]
    pgsslmode: Option<String>,
    #[arg(long, env = "PGSSLROOTCERT", hide = true)]
    pgsslrootcert: Option<String>,
    #[arg(long, env = "ENCRYPTION_KEY", hide = true, hide_env_values = true)]
    encryption_key: Option<String>,
}

impl DatabaseArgs {
    /// Whether a database is named at all.
    #[must_use]
    pub const fn is_named(&self) -> bool {
        self.database_url.is_some() || self.seed.postgres_host.is_some()
    }

    /// Variables that have another name in the OpenFaaS functions' environment.
    #[must_use]
    pub fn variables(&self) -> VariableSource {
        self.seed.encryption_key.iter().map(|key| ("encryption_key".to_owned(), key.clone())).collect()
    }

    /// Where the named database is, if one is named.
    ///
    /// # Errors
    /// When what names it makes no address.
    pub fn address(&self) -> Result<Option<Address>> {
        if let Some(url) = &self.database_url {
            return Address::parse(url).map(Some);
        }
        let SeedNames { postgres_host, postgres_port, postgres_db, postgres_user, postgres_password, .. } = &self.seed;
        let Some(host) = postgres_host else { return Ok(None) };
        let user = postgres_user.as_ref().context("POSTGRES_HOST names a database: name its user in POSTGRES_USER")?;
        let port = postgres_port.parse().map_err(|_| anyhow!("POSTGRES_PORT must be a number from 1 to 65535"))?;
        let mut config = Config::new();
        config.host(host).port(port).dbname(postgres_db).user(user).password(postgres_password);
        let mut url = database_variables(&config)?["database_url"].clone();
        let given = [("sslmode", &self.seed.pgsslmode), ("sslrootcert", &self.seed.pgsslrootcert)];
        for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            let sign = if url.contains('?') { '&' } else { '?' };
            let _ = write!(url, "{sign}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        Address::parse(&url).map(Some).context(
            "POSTGRES_HOST and the names with it make no address (what a URL says as sslmode and sslrootcert, PGSSLMODE and \
             PGSSLROOTCERT say here)",
        )
    }
}
