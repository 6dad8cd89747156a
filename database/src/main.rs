//! `cofrap-migrate`: what `cargo xtask migrate` does to a named database, for a Job of a cluster. Nothing is generated and nothing is
//! written down: keys, and the login that the functions are given, come from the environment, by the names that the functions have them.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use cofrap_crypto::Keyring;
use cofrap_database::{Database, DatabaseArgs, PREFIX, Treatment, VariableSource, from_environment, operator_token};
use cofrap_edge::{DatabaseUrl, OperatorSettings};
use cofrap_take_over::Expire;
use std::process::ExitCode;

/// Brings a database to the schema that the functions expect, and takes over the accounts that the functions before left in it.
#[derive(Parser)]
#[command(name = "cofrap-migrate", version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Arguments {
    /// Says what would be done, row by row, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// Has everybody who is, or was, taken over from API version 1 renew at the next complete login
    #[arg(long)]
    expire: bool,
    /// Takes away what only components of versions before use, once none of them runs any more
    #[arg(long, conflicts_with = "expire")]
    retire: bool,
    /// Makes the audit's partitions of the months to come, removes what is older than it is kept, and counts: for every night. Needs no
    /// operator's token
    #[arg(long, conflicts_with_all = ["expire", "retire", "dry_run", "after_restore"])]
    maintain: bool,
    #[command(flatten)]
    restored: Restored,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What a restored database needs besides.
#[derive(clap::Args)]
struct Restored {
    /// Treats a database that was restored from a backup, unless that was done: nothing that was given before opens anything
    #[arg(long, conflicts_with_all = ["retire", "dry_run"])]
    after_restore: bool,
    /// Treats it whether it looks like one or not: a disk that was put back under its old name cannot be told
    #[arg(long, requires = "after_restore")]
    again: bool,
    #[command(flatten)]
    treatment: Treatment,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { dry_run, expire, retire, maintain, restored, database } = arguments;
    let mut variables = database.variables();
    variables.extend(from_environment());
    let address =
        database.address()?.context("name the database: DATABASE_URL, or POSTGRES_HOST and the names with it")?;
    if retire {
        return Database::connect_to(address).await?.retire(dry_run).await;
    }
    let settings: OperatorSettings = needed(&variables, "settings")?.parse()?;
    let keyring = keyring(&variables, &settings)?;
    if maintain {
        let database = Database::connect_to(address).await?;
        database.check_is_here().await?;
        database.check_keys(&keyring).await?;
        return database.maintain(keyring, &settings).await;
    }
    let expire = if expire { Expire::Imported } else { Expire::Nobody };
    if dry_run {
        let database = Database::connect_to(address).await?;
        database.check_keys(&keyring).await?;
        return database.plan(&keyring, expire).await;
    }
    let login = DatabaseUrl::parse(needed(&variables, "database_url")?)?;
    let token = operator_token(variables.get("admin_token").map(String::as_str))?;
    let mut database = Database::connect_to(address).await?.with_login(login.clone());
    database.check_keys(&keyring).await?;
    database.migrate(Some(&login), &keyring, expire).await?;
    // A Job runs again with every deployment.
    if restored.after_restore && (restored.again || !database.is_here().await?) {
        database.after_restore(&restored.treatment).await?;
    }
    database.check_is_here().await?;
    database.know_operator(token.as_ref()).await?;
    database.check_keys(&keyring).await
}

fn keyring(variables: &VariableSource, settings: &OperatorSettings) -> Result<Keyring> {
    let list = needed(variables, "encryption_key")?;
    let keyring: Keyring = list.parse().map_err(|error| anyhow!("variable encryption_key: {error}"))?;
    Ok(keyring.with_unbound(settings.unbound_rows))
}

fn needed<'a>(variables: &'a VariableSource, name: &str) -> Result<&'a str> {
    let value = variables.get(name).map(String::as_str);
    value.with_context(|| format!("variable {name} is required: set {PREFIX}{}", name.to_uppercase()))
}
