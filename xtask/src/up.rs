//! `up` and `migrate`: from a fresh clone to functions that answer.

use crate::database::{Database, DatabaseArgs};
use crate::{checkout, components, dotenv, say};
use anyhow::{Context, Result, anyhow};
use cofrap_host::{Ambient, App, Engine, Manifest, Options, VariableSource, from_environment, serve};
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until Ctrl-C or SIGTERM. What may fail for want of something comes before what takes minutes.
pub(crate) async fn up(listen: SocketAddr, database: &DatabaseArgs) -> Result<()> {
    let listener = TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{listen} is taken by another program: stop it, or choose another place with --listen 127.0.0.1:0")
        }
        _ => anyhow!("cannot listen on {listen}: {error}"),
    })?;
    let environment = from_environment();
    let dotenv = dotenv::with_keys(&environment)?;
    let database = Database::open(database).await?;
    let served = prepare_and_serve(listener, &database, environment, dotenv).await;
    database.close().await?;
    served
}

/// Brings the schema up to date; of a named database, `.env` keeps the address for `spin up`.
pub(crate) async fn migrate(arguments: &DatabaseArgs) -> Result<()> {
    let database = Database::open(arguments).await?;
    let migrated = database.migrate().await;
    let variables = database.variables();
    database.close().await?;
    migrated?;
    if arguments.database_url.is_some() {
        dotenv::with_keys(&from_environment())?;
        dotenv::set(&variables?)?;
        say("the database's address is in .env, where `spin up` reads it");
    }
    Ok(())
}

async fn prepare_and_serve(
    listener: TcpListener,
    database: &Database,
    environment: VariableSource,
    dotenv: VariableSource,
) -> Result<()> {
    tokio::task::spawn_blocking(components::build).await.context("the build was lost")??;
    database.migrate().await?;

    say("loading the components");
    let engine = Engine::new(&checkout().join("target/wasmtime-cache"))?;
    let options = Options {
        manifest: Manifest::read(&checkout().join("spin.toml"))?,
        // The database that was just migrated is the one to use, whatever else is set.
        variables: vec![database.variables()?, environment, dotenv],
        ambient: Ambient::default(),
        // Whoever read the lines may have left; the functions go on.
        output: Arc::new(|line| drop(writeln!(std::io::stdout(), "{line}"))),
    };
    let app = Arc::new(App::load(&engine, options)?);

    let shutdown = shutdown_signal()?;
    greet(listener.local_addr()?, database);
    serve(app, listener, shutdown).await
}

fn greet(address: SocketAddr, database: &Database) {
    println!("==> serving on http://{address} (Ctrl-C stops it)");
    if let Some(folder) = database.folder() {
        println!("    data: {folder}");
    }
    println!("    try:  curl -X POST http://{address}/function/generate-password-v2 \\");
    println!("            -H 'Content-Type: application/json' -d '{{\"username\": \"michel.ranu\"}}'");
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
