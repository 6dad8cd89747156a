//! `bench`: what only shows under load, as ratios of one run. Machines are noisy: times of two runs say nothing.
//!
//! Each function takes turns with the floor, a component of the same SDK with one read and one insert in the same application: what
//! the platform itself costs.

mod accounts;
mod client;
mod cpu;
mod fuel;
mod health;
pub(crate) mod latency;
mod report;
mod scale;
mod twin;

use crate::{checkout, components, say};
use accounts::Accounts;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use client::{Request, round};
use cofrap_crypto::Keyring;
use cofrap_database::{Address, Authorities, VariableSource, database_variables, from_environment, random_key};
use cofrap_host::{Ambient, App, Engine, LocalPostgres, Manifest, Measured, Options, PostgresHome, serve};
use cpu::Watched;
use report::{Line, Turn};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

const DATABASE: &str = "bench";

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

/// Prints the plans of the statements inside the functions.
pub(crate) async fn explain() -> Result<()> {
    let server = LocalPostgres::start(PostgresHome::Temporary, say).await?;
    let explained = explain_on(&server).await;
    server.stop().await?;
    for cofrap_migrations::Explained { call, plans } in explained? {
        println!("{call}\n{plans}");
    }
    Ok(())
}

async fn explain_on(server: &LocalPostgres) -> Result<Vec<cofrap_migrations::Explained>> {
    server.ensure_database(DATABASE).await?;
    let config = server.config(DATABASE);
    cofrap_migrations::migrate(&mut connect(&config).await?, say).await?;
    cofrap_migrations::explain(&config).await
}

/// A database of the functions' own, and what leads them to it.
struct Prepared {
    client: Client,
    variables: VariableSource,
    keyring: Keyring,
}

impl Prepared {
    async fn on(server: &LocalPostgres) -> Result<Self> {
        server.ensure_database(DATABASE).await?;
        let mut config = server.config(DATABASE);
        let mut client = connect(&config).await?;
        cofrap_migrations::migrate(&mut client, say).await?;
        let login = cofrap_migrations::let_functions_log_in(&client, "bench").await?;
        let mut variables = database_variables(config.user(login).password("bench"))?;
        let key = random_key();
        let keyring = parse_keyring(&key)?;
        variables.insert("encryption_key".to_owned(), key);
        variables.insert("jwt_secret".to_owned(), random_key());
        variables.insert("settings".to_owned(), "policy=strict trusted_proxy_hops=1".to_owned());
        Ok(Self { client, variables, keyring })
    }
}

fn parse_keyring(key: &str) -> Result<Keyring> {
    key.parse().map_err(|error| anyhow!("variable encryption_key: {error}"))
}

/// The functions on the local host, in a process of their own, with a database of their own.
async fn measure_here(server: &LocalPostgres, manifest: &Path, extent: &Extent) -> Result<()> {
    let Prepared { client, variables, keyring } = Prepared::on(server).await?;
    let address = free_address()?;
    let mut host = Host::start(manifest, address, &variables, extent.is_profiled)?;
    host.wait(address)?;
    if extent.is_profiled {
        say(&format!("the host is process {0}: perf record -g -p {0}", host.0.id()));
    }
    let twin = Twin::start(&variables)?;
    let places = Places { host: address, twin: twin.address };
    measure(&client, &places, Some(host.0.id()), &keyring, extent).await
}

/// Where the functions listen, and their native twin.
struct Places {
    host: SocketAddr,
    twin: SocketAddr,
}

/// Another process of this program, which serves.
struct Host(Child);

impl Host {
    fn start(manifest: &Path, address: SocketAddr, variables: &VariableSource, is_profiled: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve-bench", &address.to_string()]).arg(manifest).stdout(Stdio::null());
        if is_profiled {
            command.arg("--profile");
        }
        Self::spawn(command, variables)
    }

    fn spawn(mut command: Command, variables: &VariableSource) -> Result<Self> {
        for (name, value) in variables {
            command.env(format!("SPIN_VARIABLE_{}", name.to_uppercase()), value);
        }
        Ok(Self(command.spawn().context("cannot start what is measured")?))
    }

    fn wait(&mut self, address: SocketAddr) -> Result<()> {
        for _ in 0..600 {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("the host ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the host did not start within a minute")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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

const FLOOR: &str = "/bench/floor";

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

/// The floor's tables.
async fn make_floor(client: &Client) -> Result<()> {
    let login = cofrap_migrations::functions_login(client).await?;
    client
        .batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS bench_floor (id BIGINT PRIMARY KEY, body TEXT);
             CREATE TABLE IF NOT EXISTS bench_floor_log (id BIGSERIAL PRIMARY KEY, body TEXT, at BIGINT);
             INSERT INTO bench_floor SELECT n, 'a row' FROM generate_series(1, 1000) n ON CONFLICT DO NOTHING;
             GRANT SELECT ON bench_floor TO \"{login}\"; GRANT INSERT ON bench_floor_log TO \"{login}\";
             GRANT USAGE ON SEQUENCE bench_floor_log_id_seq TO \"{login}\""
        ))
        .await?;
    Ok(())
}

fn floor() -> Request {
    let body = r#"{"username":"michel.ranu","password":"x","2FA_code":"123456"}"#;
    post(FLOOR, Arc::new(move |_| Some(body.to_owned())))
}

/// Logs accounts in, each once.
fn login(accounts: Arc<Accounts>) -> Request {
    post("/function/authenticate-user-v2", Arc::new(move |now| accounts.login(now)))
}

fn post(path: &'static str, body: client::Body) -> Request {
    Request { method: "POST", path, status: 200, header: String::new(), body }
}

/// A request for each function that is worth a number, with the status of its success.
fn requests(accounts: &Arc<Accounts>, run: &str) -> Vec<(&'static str, Request)> {
    let get = |path| Request {
        method: "GET",
        path,
        status: 200,
        header: String::new(),
        body: Arc::new(|_| Some(String::new())),
    };
    vec![
        ("authenticate-user-v2", login(Arc::clone(accounts))),
        ("generate-password-v2", post("/function/generate-password-v2", numbered("g", run))),
        ("generate-2fa-v2", post("/function/generate-2fa-v2", numbered("g", run))),
        ("health", get("/function/health")),
        ("jwks", get("/.well-known/jwks.json")),
    ]
}

/// Names that count up: what is generated for them first is enrolled later, in the same order.
fn numbered(prefix: &'static str, run: &str) -> client::Body {
    let (next, run) = (AtomicU64::new(0), run.to_owned());
    Arc::new(move |_| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        Some(format!(r#"{{"username":"{prefix}{run}{number}"}}"#))
    })
}

/// The server's first process, if it is on this machine and says so.
async fn postmaster(client: &Client) -> Option<u32> {
    let file: String = client.query_one("SELECT pg_read_file('postmaster.pid')", &[]).await.ok()?.get(0);
    file.lines().next()?.parse().ok()
}

async fn connect(config: &tokio_postgres::Config) -> Result<Client> {
    Authorities::default().connect(config).await
}

fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
