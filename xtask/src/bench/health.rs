//! `bench --health`: how long answers take that need no database, and whether health answers while clients have bcrypt computed.

use super::latency;
use crate::checkout::checkout;
use crate::components;
use anyhow::{Context, Result};
use cofrap_database::say;
use cofrap_database::{Authorities, VariableSource, database_variables, random_key};
use cofrap_host::{Ambient, App, Engine, LocalPostgres, Manifest, Options, PostgresHome, serve};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// Clients that ask for hashes at once.
const CLIENTS: usize = 16;

/// How long they do.
const LOAD: Duration = Duration::from_secs(20);

/// How far health may fall behind, in hashes.
const MOST_HASHES: f64 = 4.0;

/// Between two looks at the health route.
const INTERVAL: Duration = Duration::from_millis(20);

const DATABASE: &str = "bench";
const NAME: &str = "michel.ranu";
const PASSWORD: &str = "Kalt-Regen-42";

/// How health fares while clients have bcrypt computed, with the limits as they ship and without any.
pub(crate) async fn bench() -> Result<()> {
    components::build()?;
    let server = LocalPostgres::start(PostgresHome::Temporary, say).await?;
    let measured = measure(&server).await;
    server.stop().await?;
    measured
}

async fn measure(server: &LocalPostgres) -> Result<()> {
    server.ensure_database(DATABASE).await?;
    let config = server.config(DATABASE);
    let mut client = Authorities::default().connect(&config).await?;
    cofrap_migrations::migrate(&mut client, say).await?;
    let database = database_variables(&config)?;
    let no_limits =
        "policy=strict account_failures_limit=0 ip_failures_limit=0 otp_failures_limit=0 ip_generations_limit=0";

    let mut variables = database;
    variables.insert("settings".to_owned(), "policy=strict".to_owned());
    for name in ["encryption_key", "jwt_secret"] {
        variables.insert(name.to_owned(), random_key());
    }
    let limited = start(variables.clone()).await?;
    variables.insert("settings".to_owned(), no_limits.to_owned());
    let unlimited = start(variables).await?;
    tokio::task::spawn_blocking(move || -> Result<()> {
        latency::report(limited)?;
        let create = call(unlimited, "POST", "/function/create-account-secure", &credentials(PASSWORD))?;
        anyhow::ensure!(create.status == 200, "the account was not created: {}", create.status);
        let hash = percentile(50, (0..10).map(|_| log_in(unlimited, PASSWORD).map(|answer| answer.took)))?;
        let health = percentile(95, (0..100).map(|_| look(unlimited)))?;
        println!("one bcrypt, as one login's first step: {hash:.0?}; health at rest, p95: {health:.1?}");
        report("limits as they ship, wrong passwords", limited, "wrong", hash)?;
        report("no limits, right passwords", unlimited, PASSWORD, hash)
    })
    .await?
}

/// The functions on a port of their own, and on two threads of their own.
async fn start(variables: VariableSource) -> Result<SocketAddr> {
    let engine = Engine::new(&checkout().join("target/wasmtime-cache"))?;
    let options = Options {
        manifest: Manifest::read(&checkout().join("spin.toml"))?,
        variables: vec![variables],
        authorities: Authorities::default(),
        ambient: Ambient::default(),
        output: Arc::new(|_| {}),
    };
    let app = Arc::new(App::load(&engine, options)?);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _ = sender.send(listener.local_addr()?);
            serve(app, listener, std::future::pending()).await;
            Ok(())
        })
    });
    receiver.await.context("the functions did not start")
}

/// What health took while clients began to log in with a password.
fn report(title: &str, address: SocketAddr, password: &'static str, hash: Duration) -> Result<()> {
    let (is_over, answered, hashed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (is_over, answered, hashed) = (Arc::clone(&is_over), Arc::clone(&answered), Arc::clone(&hashed));
            std::thread::spawn(move || -> Result<()> {
                while !is_over.load(Ordering::Relaxed) {
                    let answer = log_in(address, password)?;
                    answered.fetch_add(1, Ordering::Relaxed);
                    hashed.fetch_add(u64::from(answer.status != 429), Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    let start = now();
    let mut looks = Vec::new();
    while start.elapsed() < LOAD {
        looks.push(look(address));
        std::thread::sleep(INTERVAL);
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("a client does not panic")?;
    }
    let count = looks.len();
    let health = percentile(95, looks.into_iter())?;
    let ratio = health.as_secs_f64() / hash.as_secs_f64();
    println!(
        "{title}: {CLIENTS} clients, {} answers, {} hashes; health p95 of {count}: {health:.1?} = {ratio:.2} hashes",
        answered.load(Ordering::Relaxed),
        hashed.load(Ordering::Relaxed)
    );
    anyhow::ensure!(ratio <= MOST_HASHES, "health is more than {MOST_HASHES} hashes behind");
    Ok(())
}

fn log_in(address: SocketAddr, password: &str) -> Result<Answer> {
    call(address, "POST", "/function/authentication", &credentials(password))
}

fn look(address: SocketAddr) -> Result<Duration> {
    call(address, "GET", "/function/health", "").map(|answer| answer.took)
}

fn credentials(password: &str) -> String {
    format!(r#"{{"username":"{NAME}","password":"{password}"}}"#)
}

fn percentile(percent: usize, times: impl Iterator<Item = Result<Duration>>) -> Result<Duration> {
    let mut times = times.collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().context("nothing was measured")
}

struct Answer {
    status: u16,
    took: Duration,
}

/// One request on a connection of its own.
fn call(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<Answer> {
    let start = now();
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    reader.read_line(&mut head)?;
    reader.read_to_end(&mut Vec::new())?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no HTTP answer")?;
    Ok(Answer { status, took: start.elapsed() })
}

#[expect(clippy::disallowed_methods, reason = "this measures")]
fn now() -> Instant {
    Instant::now()
}
