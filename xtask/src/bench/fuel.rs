//! `bench --fuel`: how much of a component's own code one request of each function runs. The same code counts the same on every
//! machine, so two runs may be compared.

use super::accounts::Accounts;
use super::client::once;
use super::prepared::Prepared;
use super::requests::requests;
use crate::checkout::checkout;
use crate::components;
use anyhow::Result;
use cofrap_database::say;
use cofrap_host::{Ambient, App, Authorities, Engine, LocalPostgres, Manifest, Measured, Options, PostgresHome, serve};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// Requests of each function; the median is said.
const REQUESTS: usize = 9;

/// What each request used.
type Used = Arc<Mutex<Vec<u64>>>;

pub(crate) async fn bench(manifest: &Path) -> Result<()> {
    components::build_with_floor()?;
    let server = LocalPostgres::start(PostgresHome::Temporary, say).await?;
    let measured = measure(&server, manifest).await;
    server.stop().await?;
    measured
}

async fn measure(server: &LocalPostgres, manifest: &Path) -> Result<()> {
    let Prepared { client, variables, keyring } = Prepared::on(server).await?;
    let accounts = Arc::new(Accounts::make(&client, &keyring, "fuel", 2 * REQUESTS).await?);
    let used = Used::default();
    let observed = Arc::clone(&used);
    let options = Options {
        manifest: Manifest::read(manifest)?,
        variables: vec![variables],
        authorities: Authorities::default(),
        ambient: Ambient {
            fuel: Some(Arc::new(move |_: &str, fuel| {
                observed.lock().expect("nothing panics while it holds the list").push(fuel);
            })),
            ..Ambient::default()
        },
        output: Arc::new(|_| {}),
    };
    let engine = Engine::measuring(&checkout().join("target/wasmtime-cache"), Some(Measured::Fuel))?;
    let app = Arc::new(App::load(&engine, options)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(app, listener, std::future::pending()));
    tokio::task::spawn_blocking(move || {
        println!("{:24} {:>12}", "function", "fuel/request");
        for (title, request) in requests(&accounts, "fuel") {
            for _ in 0..REQUESTS {
                once(address, &request)?;
            }
            // An instance ends after its answer.
            std::thread::sleep(Duration::from_millis(200));
            let mut fuel = std::mem::take(&mut *used.lock().expect("nothing panics while it holds the list"));
            fuel.sort_unstable();
            println!("{title:24} {:>12}", fuel[fuel.len() / 2]);
        }
        Ok(())
    })
    .await?
}
