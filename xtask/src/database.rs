//! The database that a command works with: one that is named, or a private one.

use crate::checkout::checkout;
use anyhow::{Context, Result};
use cofrap_database::say;
use cofrap_database::{DATABASE, Database, DatabaseArgs};
use cofrap_host::{LocalPostgres, PostgresHome};
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// A database that answers, with its server if that is this checkout's own.
pub(crate) struct OpenDatabase {
    database: Database,
    server: Option<LocalPostgres>,
}

impl OpenDatabase {
    /// Connects to the one that is named, or starts the checkout's own.
    pub(crate) async fn open(arguments: &DatabaseArgs) -> Result<Self> {
        if let Some(address) = arguments.address()? {
            return Ok(Self { database: Database::connect_to(address).await?, server: None });
        }
        let server = LocalPostgres::start(PostgresHome::Checkout(checkout().to_owned()), say).await?;
        let created = server.ensure_database(DATABASE).await.context("cannot make the private database");
        match created.and_then(|()| Database::private(server.config(DATABASE))) {
            Ok(database) => Ok(Self { database, server: Some(server) }),
            Err(error) => {
                server.stop().await?;
                Err(error)
            }
        }
    }

    /// Where its data lies, if that is for us to say.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.server.as_ref().map(LocalPostgres::folder)
    }

    /// Stops it, if it is private.
    pub(crate) async fn close(self) -> Result<()> {
        match self.server {
            Some(server) => {
                say("stopping PostgreSQL");
                server.stop().await
            }
            None => Ok(()),
        }
    }
}

impl Deref for OpenDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl DerefMut for OpenDatabase {
    fn deref_mut(&mut self) -> &mut Database {
        &mut self.database
    }
}
