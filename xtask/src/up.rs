//! `up` and `migrate`: from a fresh clone to functions that answer.

use crate::cargo::run_until;
use crate::database::{Database, DatabaseArgs};
use crate::dotenv::Dotenv;
use crate::{checkout, components, say};
use anyhow::{Result, anyhow};
use cofrap_host::{Ambient, App, Engine, Manifest, Options, VariableSource, from_environment, serve};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until Ctrl-C or SIGTERM. What may fail for want of something comes before what takes minutes.
pub(crate) async fn up(listen: &str, database: &DatabaseArgs) -> Result<()> {
    let mut shutdown = pin!(shutdown_signal()?);
    let listener = TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{listen} is taken by another program: stop it, or choose another place with --listen 127.0.0.1:0")
        }
        _ => anyhow!("cannot listen on {listen}: {error} (write host:port, like 127.0.0.1:8080)"),
    })?;
    let environment = from_environment();
    let dotenv = Dotenv::of(checkout()).with_keys(&environment)?;
    let database = Database::open(database).await?;
    let served = prepare_and_serve(listener, &database, vec![environment, dotenv], shutdown.as_mut()).await;
    database.close().await?;
    served
}

/// Brings the schema up to date; of a named database, `.env` keeps the address for `spin up`.
pub(crate) async fn migrate(arguments: &DatabaseArgs) -> Result<()> {
    let dotenv = Dotenv::of(checkout());
    let keys = if arguments.is_named() { Some(dotenv.with_keys(&from_environment())?) } else { None };
    let database = Database::open(arguments).await?;
    let migrated = database.migrate().await;
    let variables = database.variables().clone();
    database.close().await?;
    migrated?;
    if keys.is_some() {
        dotenv.set(&variables)?;
        say("the database's address is in .env, where `spin up` reads it");
    }
    Ok(())
}

async fn prepare_and_serve(
    listener: TcpListener,
    database: &Database,
    variables: Vec<VariableSource>,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) -> Result<()> {
    database.migrate().await?;
    // The database that was just migrated is the one to use, whatever else is set.
    let variables: Vec<_> = [database.variables().clone()].into_iter().chain(variables).collect();
    database.check_keys(&variables).await?;
    if !run_until(components::build_command()?, shutdown.as_mut()).await? {
        return Ok(());
    }

    say("loading the components");
    let engine = Engine::new(&checkout().join("target/wasmtime-cache"))?;
    let options = Options {
        manifest: Manifest::read(&checkout().join("spin.toml"))?,
        variables,
        ambient: Ambient::default(),
        // Whoever read the lines may have left; the functions go on.
        output: Arc::new(|line| drop(writeln!(std::io::stdout(), "{line}"))),
    };
    let app = Arc::new(App::load(&engine, options)?);
    greet(listener.local_addr()?, database)?;
    if !serve(app, listener, shutdown).await {
        say("some requests did not finish in time and were cut off");
    }
    Ok(())
}

fn greet(address: SocketAddr, database: &Database) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "==> serving on http://{address} (Ctrl-C stops it)")?;
    if let Some(folder) = database.folder() {
        writeln!(out, "    data: {} (stop this, then remove the folder to start from nothing)", folder.display())?;
    }
    writeln!(out, "    try:  curl -X POST http://{address}/function/generate-password-v2 \\")?;
    writeln!(out, "            -H 'Content-Type: application/json' -d '{{\"username\": \"michel.ranu\"}}'")?;
    Ok(())
}

fn shutdown_signal() -> Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        say("stopping: requests under way may finish");
    })
}
