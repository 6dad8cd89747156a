//! The database that a command works with: one that is named, or a private one.

use crate::{checkout, say};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use cofrap_host::{LocalPostgres, PostgresHome, VariableSource};
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};
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

/// A database that answers.
pub(crate) struct Database {
    config: Config,
    private: Option<LocalPostgres>,
}

impl Database {
    /// Connects to the one that is named, or starts the checkout's own.
    pub(crate) async fn open(arguments: &DatabaseArgs) -> Result<Self> {
        if let Some(url) = &arguments.database_url {
            say("connecting to the database of --database-url");
            let database = Self { config: parse(url)?, private: None };
            database.connect().await?;
            return Ok(database);
        }
        let server = LocalPostgres::start(PostgresHome::Checkout(checkout().to_owned()), say).await?;
        let config = server.config(DATABASE);
        let created = server.ensure_database(DATABASE).await.context("cannot make the private database");
        let database = Self { config, private: Some(server) };
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
        let mut client = self.connect().await?;
        let report = cofrap_migrations::migrate(&mut client).await.context("the database was not migrated")?;
        match report.applied.as_slice() {
            [] => say("the database's schema is current"),
            applied => say(&format!("migrated the database: {}", applied.join(", "))),
        }
        for id in report.same_name_but_for_case {
            say(&format!("note: the name of users_v2 row {id} differs from another's only in case; both stay"));
        }
        Ok(())
    }

    /// The variables that lead the functions to it.
    pub(crate) fn variables(&self) -> Result<VariableSource> {
        let host = match self.config.get_hosts() {
            [Host::Tcp(host)] => host.clone(),
            _ => bail!("the database URL must name one host: Spin reaches no socket files"),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let password = String::from_utf8(self.config.get_password().unwrap_or_default().to_vec())?;
        Ok([
            ("postgres_host", host),
            ("postgres_port", port.to_string()),
            ("postgres_db", text(self.config.get_dbname().or(self.config.get_user()))),
            ("postgres_user", text(self.config.get_user())),
            ("postgres_password", password),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into())
    }

    /// Where its data lies, if that is for us to say.
    pub(crate) fn folder(&self) -> Option<String> {
        self.private.as_ref().map(|server| server.folder().display().to_string())
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
            Ok(Err(error)) => {
                return Err(anyhow!(
                    "cannot reach the database: {} (is it running, and is the URL right?)",
                    cause(&error)
                ));
            }
            Err(_) => bail!("the database does not answer within {} seconds", CONNECT_TIMEOUT.as_secs()),
        };
        tokio::spawn(connection);
        Ok(client)
    }
}

fn parse(url: &str) -> Result<Config> {
    let config: Config = url.parse().map_err(|_| {
        anyhow!("--database-url is no PostgreSQL address: write postgres://user:password@host:port/database")
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        bail!("this command speaks no TLS: name the database without sslmode=require, through a local proxy");
    }
    if config.get_user().is_none() {
        bail!("--database-url names no user: write postgres://user:password@host:port/database");
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
