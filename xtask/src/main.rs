//! `cargo xtask`: one door to the project, for people and for CI.

#![forbid(unsafe_code)]

mod backup;
mod bench;
mod cargo;
mod check;
mod checkout;
mod components;
mod dashboards;
mod database;
mod deployment;
mod dotenv;
mod former_variables;
mod fuzz;
mod image;
mod manifest;
mod monitoring;
mod new_endpoint;
mod openapi;
mod readable_log;
mod rotate_keys;
mod test;
mod up;

use anyhow::Result;
use clap::{Parser, Subcommand};
use cofrap_database::{DatabaseArgs, Treatment};
use cofrap_take_over::Expire;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "One door to the project.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds everything, starts a database unless one is named, migrates it and serves the functions until Ctrl-C
    Up {
        /// Where to listen, as host:port; port 0 picks a free one
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: String,
        /// Starts Prometheus and Alertmanager of this machine too, which scrape the functions and watch the alerts
        #[arg(long)]
        with_monitoring: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Builds the components, as they ship
    Build,
    /// Runs every test, on the components as they ship and a real PostgreSQL
    Test {
        #[command(flatten)]
        elsewhere: test::Elsewhere,
        /// Passed to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Checks what needs no test run: format, lints, licences, structure, crates without the standard library
    Check,
    /// Brings a database to the schema that the functions expect, and takes over the accounts that the functions before left
    /// in it; a named one is also written to .env, for `spin up`
    Migrate {
        /// Says what would be done, row by row, and does nothing
        #[arg(long)]
        dry_run: bool,
        /// Has everybody who is, or was, taken over from API version 1 renew at the next complete login
        #[arg(long)]
        expire: bool,
        /// Takes away what only components of versions before use, once none of them runs any more: says what and from whom first;
        /// with --dry-run no more than that
        #[arg(long, conflicts_with = "expire")]
        retire: bool,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Writes a backup of a database to a file, by `pg_dump`
    Backup {
        /// A file that is not there yet
        file: PathBuf,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Loads a backup into a database without accounts, and treats it as `after-restore` does
    Restore {
        /// What `backup` wrote
        file: PathBuf,
        #[command(flatten)]
        treatment: Treatment,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Treats a database that was restored by other means, before functions serve it: no session, challenge, renewal token or code of
    /// before opens anything, and no account's number is given again
    AfterRestore {
        #[command(flatten)]
        treatment: Treatment,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Writes spin.toml, and what deploy/ says of routes, from the table of routes in shared/api
    Manifest,
    /// Writes openapi.json and its page from the types of shared/api
    Openapi,
    /// Makes what a new function needs, and says what is left to write
    NewEndpoint(new_endpoint::NewEndpoint),
    /// Measures each function beside what the platform itself costs, in one run: a table, `target/bench/bench.json` and `bench.svg`
    Bench(bench::BenchArgs),
    /// Prints how PostgreSQL carries out the statements inside the database's functions, on a filled database of its own
    Explain,
    /// Serves what `bench` measures
    #[command(hide = true)]
    ServeBench {
        address: String,
        manifest: PathBuf,
        #[arg(long)]
        profile: bool,
    },
    /// Makes the artifact that a registry keeps and a cluster runs
    Image {
        #[command(subcommand)]
        command: image::ImageCommand,
    },
    /// Does what a database needs from time to time: makes the audit's partitions of the months to come, removes what is older than it is kept
    /// and accounts that nobody completed, and counts for the metrics
    Maintain {
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Seals every stored secret under the first key of `encryption_key`, so that the others may leave the list
    RotateKeys {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Up { listen, with_monitoring, database } => {
            runtime()?.block_on(up::up(&listen, with_monitoring, &database))
        }
        Command::Build => components::build(),
        Command::Test { elsewhere, arguments } => test::test(&elsewhere, &arguments),
        Command::Check => check::check(),
        Command::Migrate { dry_run, retire: true, database, .. } => runtime()?.block_on(up::retire(&database, dry_run)),
        Command::Migrate { dry_run, expire, retire: false, database } => {
            let expire = if expire { Expire::Imported } else { Expire::Nobody };
            if dry_run {
                runtime()?.block_on(up::plan(&database, expire))
            } else {
                runtime()?.block_on(up::migrate(&database, expire))
            }
        }
        Command::Bench(arguments) => runtime()?.block_on(bench::bench(arguments)),
        Command::ServeBench { address, manifest, profile } => {
            runtime()?.block_on(bench::serve_bench(&address, &manifest, profile))
        }
        Command::Explain => runtime()?.block_on(bench::explain()),
        Command::Backup { file, database } => runtime()?.block_on(backup::backup(&file, &database)),
        Command::Restore { file, treatment, database } => {
            runtime()?.block_on(backup::restore(&file, &treatment, &database))
        }
        Command::AfterRestore { treatment, database } => {
            runtime()?.block_on(backup::after_restore(&treatment, &database))
        }
        Command::Image { command } => runtime()?.block_on(image::run(command)),
        Command::Manifest => manifest::write(),
        Command::Openapi => openapi::write(),
        Command::NewEndpoint(arguments) => new_endpoint::make(&arguments),
        Command::Maintain { database } => runtime()?.block_on(up::maintain(&database)),
        Command::RotateKeys { database } => runtime()?.block_on(rotate_keys::rotate_keys(&database)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
