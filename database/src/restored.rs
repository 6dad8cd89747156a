//! `after-restore`: what a database needs that was restored from a backup.

use crate::database::Database;
use crate::say::say;
use crate::tls::{Authorities, system_authorities};
use anyhow::{Context, Result, bail};
use clap::Args;
use cofrap_accounts::Clock;
use cofrap_edge::SystemClock;
use cofrap_migrations::{Lost, is_here, read_export};
use std::ffi::OsString;
use std::path::PathBuf;
use tokio_postgres::config::{Host, SslMode};

/// How it is treated.
#[derive(Args, Clone, Debug)]
pub struct Treatment {
    /// How many numbers of accounts to leave out: more than accounts were made since the backup, so that no number that another service
    /// knows becomes somebody else's
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    skip_numbers: u32,
    /// An export of the audit from before the loss, as the route `audit-log` answers it: what it knows of changes that went back is listed
    #[arg(long, value_name = "FILE")]
    audit_export: Option<PathBuf>,
}

impl Database {
    /// Treats it, and says what that came to.
    ///
    /// # Errors
    /// When the export cannot be read, or the database refuses.
    pub async fn after_restore(&self, treatment: &Treatment) -> Result<()> {
        let export = match &treatment.audit_export {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                read_export(&text).with_context(|| path.display().to_string())?
            }
            None => Vec::new(),
        };
        let mut client = self.connect().await?;
        let treated =
            cofrap_migrations::after_restore(&mut client, SystemClock.now(), treatment.skip_numbers, &export).await?;
        say("no session, challenge or renewal token of before opens anything");
        say(&format!("codes up to now count as used: {} accounts", treated.accounts));
        say(&format!("new second factors that waited for their first code are gone: {}", treated.waiting_secrets));
        say(&format!("the next account is number {} or higher", treated.next_number));
        if treatment.audit_export.is_none() {
            say(
                "note: without --audit-export nobody can tell which changes went back: accounts may be open that were disabled",
            );
        }
        for Lost { at, action, username, user_id, .. } in &treated.lost {
            let number = user_id.map_or_else(String::new, |number| format!(" ({number})"));
            say(&format!("went back: {action} of {}{number} at {at}", username.as_deref().unwrap_or("somebody")));
        }
        Ok(())
    }

    /// Whether there are accounts in it.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn holds_accounts(&self) -> Result<bool> {
        let client = self.connect().await?;
        let is_there = "SELECT to_regclass('public.users_v2') IS NOT NULL";
        if !client.query_one(is_there, &[]).await?.get::<_, bool>(0) {
            return Ok(false);
        }
        Ok(client.query_one("SELECT EXISTS (SELECT FROM public.users_v2)", &[]).await?.get(0))
    }

    /// Its name on the server.
    #[must_use]
    pub fn name(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or_default()
    }

    /// How PostgreSQL's own programs are told where it is and who asks, with the same demands on TLS.
    ///
    /// # Errors
    /// When its password is no text.
    pub fn libpq_environment(&self) -> Result<Vec<(&'static str, OsString)>> {
        let mut environment: Vec<(_, OsString)> = vec![("PGDATABASE", self.name().into())];
        if let Some(Host::Tcp(host)) = self.config.get_hosts().first() {
            environment.push(("PGHOST", host.into()));
        }
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        environment.push(("PGPORT", port.to_string().into()));
        if let Some(user) = self.config.get_user() {
            environment.push(("PGUSER", user.into()));
        }
        if let Some(password) = self.config.get_password() {
            environment.push(("PGPASSWORD", String::from_utf8(password.to_vec())?.into()));
        }
        if self.config.get_ssl_mode() == SslMode::Require {
            let roots = match &self.authorities {
                Authorities::File(path) => path.clone(),
                Authorities::System => system_authorities(),
            };
            environment.extend([("PGSSLMODE", "verify-full".into()), ("PGSSLROOTCERT", roots.into_os_string())]);
        } else {
            environment.push(("PGSSLMODE", "disable".into()));
        }
        Ok(environment)
    }

    /// Whether it is not one that was restored and not treated.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn is_here(&self) -> Result<bool> {
        is_here(&self.connect().await?).await
    }

    /// Refuses one that was restored and not treated: the functions do so too.
    ///
    /// # Errors
    /// When it is one, or the database refuses.
    pub async fn check_is_here(&self) -> Result<()> {
        if !self.is_here().await? {
            bail!(
                "this database was restored, or copied from another: `cargo xtask after-restore` (in a cluster `cofrap-migrate \
                 --after-restore`) must treat it first (docs/operations/restore.md)"
            );
        }
        Ok(())
    }
}
