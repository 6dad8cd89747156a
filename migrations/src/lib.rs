//! Brings a database to the schema that the functions expect: one mechanism for `cargo xtask up`, the tests and the
//! cluster.
//!
//! The numbered files in `sql` are applied in order, each in a transaction of its own. An applied file never changes: refinery
//! compares it with what it was then. The functions in `sql/functions` are made in a schema of the latest number; a changed function
//! is a new number, if only with a file that says what changed.

#![forbid(unsafe_code)]

mod after_restore;
mod audit_table;
mod explain;
mod functions;
mod roles;
mod sameness_keys;
mod sequences;
mod shape;
mod take_over;

pub use after_restore::{Lost, Treated, after_restore, is_here, read_export};
pub use explain::{Explained, explain};
pub use functions::{retirable, retire, schema_of};
pub use roles::{FORMER_ROLE, admit, functions_login, let_functions_log_in, login_of, set_session_defaults};
pub use take_over::{Expire, Finding, Remark, TakenOver, WRONG_KEYS, What, plan_take_over, take_over};

use anyhow::{Context, Result, anyhow, bail};
use cofrap_accounts::StoredKeys;
use cofrap_crypto::SharedSecret;
use refinery::{Runner, Target};
use roles::Roles;
use std::time::Duration;
use tokio_postgres::Client;

mod sql {
    refinery::embed_migrations!("sql");
}

/// The schema that this build makes, and that components of this build call: the number of the latest file.
pub const SCHEMA_VERSION: i64 = 9;

/// The advisory lock that runners take, so that of two at once the second finds nothing to do. "COFR" in ASCII.
const LOCK: i64 = 0x434F_4652;

/// How long a runner waits before it asks again.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The files that were applied, in order.
    pub applied: Vec<String>,
    /// Whether the functions have a role of their own here, which may call the database's functions and do nothing else.
    pub has_role_of_the_functions: bool,
    /// Names that were given the key by which they are compared.
    pub named: u64,
}

/// Applies what is missing, and says how far it has come where that takes a while. Doing it twice, or from two sides at once, changes nothing more.
///
/// # Errors
/// When the database refuses a statement, or an applied file is no longer what it was. What came before stays applied.
pub async fn migrate(client: &mut Client, progress: impl Fn(&str)) -> Result<Report> {
    lock(client).await?;
    let report = run(client, progress).await;
    unlock(client, report).await
}

async fn lock(client: &Client) -> Result<()> {
    // Whoever waits in a statement is waited for by who builds an index beside others.
    while !client
        .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])
        .await
        .context("cannot take the migration lock")?
        .get::<_, bool>(0)
    {
        tokio::time::sleep(LOCK_INTERVAL).await;
    }
    Ok(())
}

/// Gives the lock back after what it was taken for, whatever that came to.
async fn unlock<T>(client: &Client, done: Result<T>) -> Result<T> {
    let unlocked = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await;
    let done = done?;
    unlocked.context("cannot give the migration lock back")?;
    Ok(done)
}

async fn run(client: &mut Client, progress: impl Fn(&str)) -> Result<Report> {
    check_encoding(client).await?;
    let mut applied = apply(client, sql::migrations::runner().set_target(Target::Version(audit_table::BEFORE))).await?;
    audit_table::prepare(client, &progress).await?;
    match apply_patiently(client).await {
        Ok(rest) => applied.extend(rest),
        Err(error) => {
            let taken_back = audit_table::take_back(client).await;
            // What went wrong first is what is said.
            return Err(match taken_back {
                Ok(()) => error,
                Err(more) => error.context(format!("and the audit's bound stays: {more:#}")),
            });
        }
    }
    shape::check(client).await.context("the tables are not those of the specification")?;
    sequences::catch_up(client).await?;
    let roles = Roles::ensure(client).await?;
    roles.grant(client).await?;
    functions::install(client, &roles).await?;
    functions::tidy(client).await?;
    audit_table::make_partitions(client).await?;
    after_restore::settle(client).await?;
    sameness_keys::forget_former(client, &progress).await?;
    let named = sameness_keys::fill(client, &progress).await?;
    Ok(Report { applied, has_role_of_the_functions: roles.login().is_some(), named })
}

/// Applies the rest: its first file locks a table of everybody's, and gives up where somebody is in the way.
async fn apply_patiently(client: &mut Client) -> Result<Vec<String>> {
    let mut patience = audit_table::Patience::default();
    loop {
        client.batch_execute(audit_table::IMPATIENT).await.map_err(refused)?;
        let applied = apply(client, sql::migrations::runner()).await;
        client.batch_execute(audit_table::PATIENT).await.map_err(refused)?;
        match applied {
            Err(error) if error.is::<audit_table::InUse>() => patience.wait().await?,
            applied => return applied,
        }
    }
}

/// Brings the tables alone to an earlier version: for tests of what comes after it.
///
/// # Errors
/// When the database refuses a statement.
pub async fn migrate_tables_to(client: &mut Client, version: i32) -> Result<()> {
    apply(client, sql::migrations::runner().set_target(Target::Version(version))).await.map(|_| ())
}

/// Applies what is missing up to the runner's target; which files those were.
async fn apply(client: &mut Client, runner: Runner) -> Result<Vec<String>> {
    // refinery's messages hide their cause; the chain of sources has it.
    let applied = runner.run_async(client).await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            if deeper.downcast_ref().is_some_and(audit_table::is_in_use) {
                return anyhow!(audit_table::InUse);
            }
            cause = deeper;
        }
        anyhow!("{error}: {cause}")
    })?;
    Ok(applied.applied_migrations().iter().map(ToString::to_string).collect())
}

/// Has the database know the operator by this token, whomever it knew before; by none, nobody is one.
///
/// # Errors
/// When the database refuses the statement.
pub async fn know_operator(client: &Client, token: Option<&SharedSecret>) -> Result<()> {
    let know = "UPDATE public.installation
                SET operator_digest = coalesce(encode(sha256(convert_to($1::text, 'UTF8')), 'hex'), 'none')";
    client.execute(know, &[&token.map(SharedSecret::proof)]).await.map_err(refused)?;
    Ok(())
}

/// The keys that stored secrets need; none in a database that was never migrated.
///
/// # Errors
/// When the database refuses a statement.
pub async fn stored_keys(client: &Client) -> Result<StoredKeys> {
    let is_there = "SELECT to_regclass('public.encryption_keys') IS NOT NULL";
    if !client.query_one(is_there, &[]).await.map_err(refused)?.get::<_, bool>(0) {
        return Ok(StoredKeys::default());
    }
    let list = async |query| -> Result<Vec<String>> {
        let rows = client.query(query, &[]).await.map_err(refused)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    Ok(StoredKeys {
        registered: list("SELECT id FROM public.encryption_keys").await?,
        samples: list(
            "SELECT password::text FROM public.users_v2
             WHERE password_key IS NULL AND length(password) >= 100 AND password LIKE 'gAAAAA%' ORDER BY id DESC LIMIT 3",
        )
        .await?,
    })
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

/// What the database said, without the row that it said it about.
pub(crate) fn refused(error: tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(cause) => anyhow!("{} {}", cause.code().code(), cause.message()),
        None => anyhow!(error),
    }
}

#[cfg(test)]
mod tests {
    /// Add a line for a new file; never change one.
    const APPLIED: [(&str, u64); 9] = [
        ("V1__seed_tables", 8_644_451_391_404_159_628),
        ("V2__account_lifecycle", 505_755_662_921_762_620),
        ("V3__account_protection", 14_311_938_151_030_738_866),
        ("V4__first_generation", 17_918_633_554_197_134_543),
        ("V5__database_functions", 34_985_181_221_577_860),
        ("V6__identities", 16_720_485_478_031_548_068),
        ("V7__proofs", 6_800_207_749_349_596_012),
        ("V8__restored", 3_714_703_250_600_800_533),
        ("V9__audit_partitions", 3_443_212_397_924_251_196),
    ];

    /// The functions of the current version. Another fingerprint needs another version: add a numbered file, if only to say what
    /// changed, and put both here.
    const FUNCTIONS: (i64, &str) = (9, "f7bebe7b9c464cf244b3b5c41e6c8b00970e97ab03cdb05d2c05f02c7c4aadcc");

    #[test]
    fn changed_functions_have_another_version() {
        assert_eq!((super::SCHEMA_VERSION, super::functions::fingerprint().as_str()), FUNCTIONS);
    }

    #[test]
    fn an_applied_file_never_changes() {
        let runner = super::sql::migrations::runner();
        let mut files: Vec<_> =
            runner.get_migrations().iter().map(|file| (file.to_string(), file.checksum())).collect();
        files.sort();
        assert_eq!(files, APPLIED.map(|(name, checksum)| (name.to_owned(), checksum)));
    }
}
