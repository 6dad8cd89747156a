//! Applies the numbered files, then makes roles, functions and partitions.

use crate::audit_table;
use crate::error::refused;
use crate::lock::with_lock;
use crate::patience::{IMPATIENT, InUse, PATIENT, Patience, is_in_use};
use crate::roles::Roles;
use crate::version::SCHEMA_VERSION;
use crate::{after_restore, functions, index, sameness_keys, sequences, shape};
use anyhow::{Context, Result, anyhow, bail};
use refinery::{Runner, Target};
use tokio_postgres::Client;

pub(crate) mod sql {
    refinery::embed_migrations!("sql");
}

/// That of `V10__fewer_writes.sql`, which finds it made.
const OF_PROVISIONAL_ACCOUNTS: &str = "
    CREATE INDEX CONCURRENTLY idx_users_v2_provisional ON public.users_v2 (generated_at) WHERE state = 'provisional'";

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
    with_lock(client, async |client| run(client, progress).await).await
}

async fn run(client: &mut Client, progress: impl Fn(&str)) -> Result<Report> {
    check_encoding(client).await?;
    let mut applied = apply(client, sql::migrations::runner().set_target(Target::Version(audit_table::BEFORE))).await?;
    audit_table::prepare(client, &progress).await?;
    index::build(client, "idx_users_v2_provisional", OF_PROVISIONAL_ACCOUNTS).await?;
    match apply_rest(client).await {
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

/// Applies the rest, file by file: they lock tables of everybody's.
async fn apply_rest(client: &mut Client) -> Result<Vec<String>> {
    let mut applied = Vec::new();
    for version in audit_table::BEFORE + 1..=i32::try_from(SCHEMA_VERSION)? {
        applied.extend(apply_patiently(client, version).await?);
    }
    Ok(applied)
}

/// Applies what is missing up to a version, and tries again where somebody is in the way.
async fn apply_patiently(client: &mut Client, version: i32) -> Result<Vec<String>> {
    let mut patience = Patience::default();
    loop {
        client.batch_execute(IMPATIENT).await.map_err(refused)?;
        let applied = apply(client, sql::migrations::runner().set_target(Target::Version(version))).await;
        client.batch_execute(PATIENT).await.map_err(refused)?;
        match applied {
            Err(error) if error.is::<InUse>() => patience.wait().await?,
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
            if deeper.downcast_ref().is_some_and(is_in_use) {
                return anyhow!(InUse);
            }
            cause = deeper;
        }
        anyhow!("{error}: {cause}")
    })?;
    Ok(applied.applied_migrations().iter().map(ToString::to_string).collect())
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
