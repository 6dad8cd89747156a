//! Brings a database to the schema that the functions expect: one mechanism for `cargo xtask up`, the tests and the
//! cluster.
//!
//! The numbered SQL files beside this crate are applied in order, each in a transaction of its own. An applied file never
//! changes: refinery compares it with what it was then.

#![forbid(unsafe_code)]

mod take_over;

pub use take_over::{Expire, Finding, Remark, TakenOver, WRONG_KEYS, What, plan_take_over, take_over};

use anyhow::{Context, Result, anyhow, bail};
use cofrap_accounts::case_key;
use tokio_postgres::Client;

mod sql {
    refinery::embed_migrations!(".");
}

/// The advisory lock that runners take, so that of two at once the second finds nothing to do. "COFR" in ASCII.
const LOCK: i64 = 0x434F_4652;

/// The role whose members may do what the functions do, and no more. Roles belong to the whole server.
pub const APPLICATION_ROLE: &str = "cofrap_app";

/// What sessions of the functions have: the same that they ask for, see `shared/edge/src/database_url.rs`.
const SESSION_DEFAULTS: [(&str, &str); 5] = [
    ("statement_timeout", "3000ms"),
    ("lock_timeout", "2000ms"),
    ("idle_in_transaction_session_timeout", "5000ms"),
    ("idle_session_timeout", "2000ms"),
    ("timezone", "UTC"),
];

/// Makes the role unless it is there. Who may not make roles goes without: the functions then run with all rights of theirs.
const CREATE_ROLE: &str = "
    DO $$ BEGIN
        CREATE ROLE cofrap_app NOLOGIN;
    EXCEPTION
        WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
    END $$";

/// What the functions may do: no DDL, not even a temporary table; the audit is only added to. All of it is one transaction.
const GRANT: &str = "
    DO $$ BEGIN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO cofrap_app', current_schema());
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM cofrap_app', current_schema());
        EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO cofrap_app', current_schema());
    END $$;
    GRANT SELECT, INSERT, UPDATE ON users_v2, password_history_v2 TO cofrap_app;
    GRANT SELECT, INSERT ON auth_logs_v2 TO cofrap_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON throttles TO cofrap_app;
    GRANT SELECT, INSERT, DELETE ON encryption_keys TO cofrap_app;
    GRANT SELECT ON refinery_schema_history TO cofrap_app";

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The files that were applied, in order.
    pub applied: Vec<String>,
    /// Whether [`APPLICATION_ROLE`] is there, with its rights in this database.
    pub has_application_role: bool,
}

/// Applies what is missing. Doing it twice, or from two sides at once, changes nothing more.
///
/// # Errors
/// When the database refuses a statement, or an applied file is no longer what it was. What came before stays applied.
pub async fn migrate(client: &mut Client) -> Result<Report> {
    lock(client).await?;
    let report = run(client).await;
    unlock(client, report).await
}

async fn lock(client: &Client) -> Result<()> {
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.context("cannot take the migration lock")?;
    Ok(())
}

/// Gives the lock back after what it was taken for, whatever that came to.
async fn unlock<T>(client: &Client, done: Result<T>) -> Result<T> {
    let unlocked = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await;
    let done = done?;
    unlocked.context("cannot give the migration lock back")?;
    Ok(done)
}

async fn run(client: &mut Client) -> Result<Report> {
    check_encoding(client).await?;
    // refinery's messages hide their cause; the chain of sources has it.
    let applied = sql::migrations::runner().run_async(client).await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        anyhow!("{error}: {cause}")
    })?;
    let applied = applied.applied_migrations().iter().map(ToString::to_string).collect();
    let has_application_role = grant_rights(client).await?;
    fill_username_keys(client).await?;
    Ok(Report { applied, has_application_role })
}

async fn check_encoding(client: &Client) -> Result<()> {
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        bail!("the database's encoding is {encoding}: names need UTF8 (CREATE DATABASE ... ENCODING 'UTF8')");
    }
    Ok(())
}

/// The files that [`migrate`] would apply, by name, in order.
///
/// # Errors
/// When the database refuses, or cannot hold every name.
pub async fn pending(client: &Client) -> Result<Vec<String>> {
    check_encoding(client).await?;
    let has_history = client.query_one("SELECT to_regclass('refinery_schema_history') IS NOT NULL", &[]).await?;
    let latest: i32 = if has_history.get(0) {
        client.query_one("SELECT coalesce(max(version), 0)::integer FROM refinery_schema_history", &[]).await?.get(0)
    } else {
        0
    };
    let runner = sql::migrations::runner();
    let mut pending: Vec<_> =
        runner.get_migrations().iter().filter(|file| i64::from(file.version()) > i64::from(latest)).collect();
    pending.sort_by_key(|file| file.version());
    Ok(pending.into_iter().map(ToString::to_string).collect())
}

/// Gives the application's role its rights, every time anew: what a later file adds is covered too.
async fn grant_rights(client: &Client) -> Result<bool> {
    client.batch_execute(CREATE_ROLE).await.context("cannot make the application's role")?;
    let found = client.query("SELECT FROM pg_roles WHERE rolname = $1", &[&APPLICATION_ROLE]).await?;
    if found.is_empty() {
        return Ok(false);
    }
    client.batch_execute(GRANT).await.context("cannot give the application's role its rights")?;
    Ok(true)
}

/// Gives the functions a user of their own, a member of [`APPLICATION_ROLE`], and sets its password.
///
/// # Errors
/// When the database refuses, as it does to who may not make roles.
pub async fn ensure_application_user(client: &Client, user: &str, password: &str) -> Result<()> {
    let (name, text) = (user.replace('"', "\"\""), password.replace('\'', "''"));
    let found = client.query("SELECT FROM pg_roles WHERE rolname = $1", &[&user]).await?;
    let verb = if found.is_empty() { "CREATE" } else { "ALTER" };
    let statement = format!("{verb} ROLE \"{name}\" LOGIN PASSWORD '{text}'; GRANT {APPLICATION_ROLE} TO \"{name}\"");
    client.batch_execute(&statement).await.context("cannot make the functions a user of their own")
}

/// Sets for the functions' user what the functions ask for when they connect: a pooler between them and the server may drop that.
///
/// # Errors
/// When the database refuses: who did not make the user may not change it.
pub async fn set_session_defaults(client: &Client, user: &str) -> Result<()> {
    let name = user.replace('"', "\"\"");
    let set = |(setting, value)| format!("ALTER ROLE \"{name}\" SET {setting} = '{value}'");
    let statements = SESSION_DEFAULTS.map(set).join("; ");
    client.batch_execute(&statements).await.context("cannot set the session defaults of the functions' user")
}

/// Gives every row without a `username_key` its key, the oldest first; of a pair, the other has none. SQL cannot: its `lower`
/// depends on the locale.
async fn fill_username_keys(client: &Client) -> Result<()> {
    let rows = client
        .query("SELECT id::bigint, username FROM users_v2 WHERE username_key IS NULL ORDER BY id", &[])
        .await
        .context("cannot read the names")?;
    for row in rows {
        let (id, name): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        client
            .execute(
                "UPDATE users_v2 SET username_key = $1
                 WHERE id = $2::bigint AND NOT EXISTS (SELECT FROM users_v2 WHERE username_key = $1)",
                &[&case_key(&name), &id],
            )
            .await
            .with_context(|| format!("cannot fill username_key of row {id}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    /// Add a line for a new file; never change one.
    const APPLIED: [(&str, u64); 4] = [
        ("V1__seed_tables", 8_644_451_391_404_159_628),
        ("V2__account_lifecycle", 505_755_662_921_762_620),
        ("V3__account_protection", 14_311_938_151_030_738_866),
        ("V4__first_generation", 17_918_633_554_197_134_543),
    ];

    #[test]
    fn an_applied_file_never_changes() {
        let runner = super::sql::migrations::runner();
        let mut files: Vec<_> =
            runner.get_migrations().iter().map(|file| (file.to_string(), file.checksum())).collect();
        files.sort();
        assert_eq!(files, APPLIED.map(|(name, checksum)| (name.to_owned(), checksum)));
    }
}
