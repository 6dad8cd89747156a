//! `bench`: what only shows under load, as ratios of one run. Machines are noisy: times of two runs say nothing.
//!
//! Each function takes turns with the floor, a component of the same SDK with one read and one insert in the same application: what
//! the platform itself costs.

mod accounts;
mod client;
mod cpu;
mod explain;
mod fuel;
mod health;
pub(crate) mod latency;
mod prepared;
mod process;
mod report;
mod requests;
mod scale;
mod twin;

pub(crate) use explain::explain;

use crate::checkout::checkout;
use crate::components;
use accounts::Accounts;
use anyhow::{Context, Result};
use clap::Args;
use client::round;
use cofrap_crypto::Keyring;
use cofrap_database::{Address, Authorities, from_environment, random_key, say};
use cofrap_host::{Ambient, App, Engine, LocalPostgres, Manifest, Measured, Options, PostgresHome, serve};
use cpu::Watched;
use prepared::{Prepared, parse_keyring};
use process::{Host, free_address};
use report::{Line, Turn};
use requests::{FLOOR, floor, make_floor, requests};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Client;
use twin::Twin;

/// What is measured.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags")]
pub(crate) struct BenchArgs {
    /// One short pair of rounds at 16 connections each: a minute
    #[arg(long)]
    quick: bool,
    /// Measures functions that run at this http:// URL, on any Spin, from the manifest that --write-manifest wrote; without
    /// --database-url only what needs no database
    #[arg(long)]
    host_url: Option<String>,
    /// Their database, as its owner: accounts are made in it. Their encryption key is read from `SPIN_VARIABLE_ENCRYPTION_KEY`
    #[arg(long, requires = "host_url", hide_env_values = true)]
    database_url: Option<String>,
    /// Their process, for its processor time
    #[arg(long, requires = "host_url")]
    host_pid: Option<u32>,
    /// Only functions whose name has this in it
    #[arg(long)]
    only: Option<String>,
    /// At this many connections alone
    #[arg(long)]
    connections: Option<usize>,
    /// Writes the manifest of the functions and the floor, builds them, and ends
    #[arg(long, conflicts_with = "host_url")]
    write_manifest: bool,
    /// How much of its own code each function runs for a request, in wasmtime's fuel: the same on every machine
    #[arg(long, conflicts_with = "host_url")]
    fuel: bool,
    /// Has the host write where the components' code lies, so that `perf record -p PID` and `perf report` show where its time goes
    #[arg(long, conflicts_with = "host_url")]
    profile: bool,
    /// What a login and a start cost with 1,000 accounts and 10,000 rows of the audit, and with so many times as many of both
    #[arg(long, conflicts_with = "host_url", value_name = "TIMES")]
    scale: Option<i64>,
    /// How health fares while clients have bcrypt computed, instead
    #[arg(long, conflicts_with = "host_url")]
    health: bool,
}

/// How much is measured.
#[derive(Clone)]
struct Extent {
    pairs: usize,
    time: Duration,
    connections: Vec<usize>,
    accounts: usize,
    is_profiled: bool,
    /// Only functions whose name has this in it.
    only: String,
}

impl Extent {
    fn of(arguments: &BenchArgs) -> Self {
        let (pairs, seconds, connections, accounts) =
            if arguments.quick { (1, 2, vec![16], 5_000) } else { (5, 4, vec![1, 16, 64], 30_000) };
        Self {
            pairs,
            time: Duration::from_secs(seconds),
            connections: arguments.connections.map_or(connections, |count| vec![count]),
            accounts,
            is_profiled: arguments.profile,
            only: arguments.only.clone().unwrap_or_default(),
        }
    }
}

pub(crate) async fn bench(arguments: BenchArgs) -> Result<()> {
    if arguments.health {
        return health::bench().await;
    }
    if let (Some(url), None) = (&arguments.host_url, &arguments.database_url) {
        return latency::report(latency::resolve(url)?);
    }
    let manifest = write_manifest()?;
    if arguments.write_manifest {
        components::build_with_floor()?;
        say(&format!("wrote {}", manifest.display()));
        return Ok(());
    }
    if arguments.fuel {
        return fuel::bench(&manifest).await;
    }
    if let Some(times) = arguments.scale {
        return scale::bench(&manifest, times).await;
    }
    let extent = Extent::of(&arguments);
    if let (Some(host), Some(database)) = (&arguments.host_url, &arguments.database_url) {
        let key = from_environment().remove("encryption_key").context("set SPIN_VARIABLE_ENCRYPTION_KEY to theirs")?;
        let client = Address::parse(database)?.connect().await?;
        let twin = Twin::start(&from_environment())?;
        let places = Places { host: latency::resolve(host)?, twin: twin.address };
        return measure(&client, &places, arguments.host_pid, &parse_keyring(&key)?, &extent).await;
    }
    components::build_with_floor()?;
    let server = LocalPostgres::start(PostgresHome::Temporary, say).await?;
    let measured = measure_here(&server, &manifest, &extent).await;
    server.stop().await?;
    measured
}

/// The functions on the local host, in a process of their own, with a database of their own.
async fn measure_here(server: &LocalPostgres, manifest: &Path, extent: &Extent) -> Result<()> {
    let Prepared { client, variables, keyring } = Prepared::on(server).await?;
    let address = free_address()?;
    let mut host = Host::start(manifest, address, &variables, extent.is_profiled)?;
    host.wait(address)?;
    if extent.is_profiled {
        say(&format!("the host is process {0}: perf record -g -p {0}", host.id()));
    }
    let twin = Twin::start(&variables)?;
    let places = Places { host: address, twin: twin.address };
    measure(&client, &places, Some(host.id()), &keyring, extent).await
}

/// Where the functions listen, and their native twin.
struct Places {
    host: SocketAddr,
    twin: SocketAddr,
}

/// Serves a manifest until it is ended: the process whose time is measured.
pub(crate) async fn serve_bench(address: &str, manifest: &Path, is_profiled: bool) -> Result<()> {
    let measured = is_profiled.then_some(Measured::Time);
    let engine = Engine::measuring(&checkout().join("target/wasmtime-cache"), measured)?;
    let options = Options {
        manifest: Manifest::read(manifest)?,
        variables: vec![from_environment()],
        authorities: Authorities::default(),
        ambient: Ambient::default(),
        output: Arc::new(|_| {}),
    };
    let app = Arc::new(App::load(&engine, options)?);
    serve(app, tokio::net::TcpListener::bind(address).await?, std::future::pending()).await;
    Ok(())
}

/// The manifest of the functions with the floor beside them.
fn write_manifest() -> Result<PathBuf> {
    let folder = checkout().join("target/bench");
    fs::create_dir_all(&folder)?;
    let manifest = fs::read_to_string(checkout().join("spin.toml"))?;
    let manifest = manifest.replace("source = \"target/", "source = \"../");
    let floor = format!(
        r#"
[[trigger.http]]
route = "{FLOOR}"
component = "floor"

[component.floor]
source = "../{}/component/cofrap_bench_floor.wasm"
allowed_outbound_hosts = ["postgres://{{{{ database_host }}}}"]

[component.floor.variables]
database_url = "{{{{ database_url }}}}"
"#,
        components::TARGET
    );
    let path = folder.join("spin.toml");
    fs::write(&path, [manifest, floor].concat())?;
    Ok(path)
}

async fn measure(
    client: &Client,
    places: &Places,
    host: Option<u32>,
    keyring: &Keyring,
    extent: &Extent,
) -> Result<()> {
    make_floor(client).await?;
    say(&format!("making {} accounts", extent.accounts));
    let run = &random_key().replace(['+', '/', '='], "")[..6];
    let accounts = Arc::new(Accounts::make(client, keyring, &format!("b{run}"), extent.accounts).await?);
    client.batch_execute("ANALYZE").await?;
    let watched = Watched { host, database: postmaster(client).await };
    let Places { host, twin } = *places;

    let floor = floor();
    let extent = extent.clone();
    let requests = requests(&accounts, run);
    let lines = tokio::task::spawn_blocking(move || -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        for (title, request) in requests.into_iter().filter(|(title, _)| title.contains(&extent.only)) {
            for &clients in &extent.connections {
                let turns: Vec<Turn> = (0..extent.pairs)
                    .map(|_| {
                        let send = |address, request| round(address, request, clients, extent.time, &watched);
                        let (floor, ours) = (send(host, &floor)?, send(host, &request)?);
                        let twin = if Twin::has(title) { Some(send(twin, &request)?) } else { None };
                        Ok(Turn { ours, floor, twin })
                    })
                    .collect::<Result<_>>()?;
                let line = Line::of(title, clients, &turns);
                println!("{line}");
                lines.push(line);
            }
        }
        Ok(lines)
    })
    .await??;
    report::write(&lines, &checkout().join("target/bench"))
}

/// The server's first process, if it is on this machine and says so.
async fn postmaster(client: &Client) -> Option<u32> {
    let file: String = client.query_one("SELECT pg_read_file('postmaster.pid')", &[]).await.ok()?.get(0);
    file.lines().next()?.parse().ok()
}
