//! `rotate-keys`: seals every stored secret under the first key of the list, by the same function that a cluster calls.

use crate::database::OpenDatabase;
use crate::up::{Project, shutdown_signal};
use anyhow::{Context, Result, bail};
use cofrap_api::rotate_keys::Response;
use cofrap_database::say;
use cofrap_database::{DatabaseArgs, random_key};
use cofrap_host::{App, serve};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Calls the function batch by batch until nothing is left, and says how far it has come.
pub(crate) async fn rotate_keys(arguments: &DatabaseArgs) -> Result<()> {
    let mut project = Project::read(arguments)?;
    // Whoever may write the tables needs no token that the database knows; others need theirs.
    let configured = project.value("admin_token").filter(|token| !token.is_empty()).map(str::to_owned);
    let token = configured.unwrap_or_else(random_key);
    project.give("admin_token", &token);
    // As the URL's user: neither schema nor roles are touched, functions may be running there.
    let database = OpenDatabase::open(arguments).await?;
    let rotated = load_and_rotate(&project, &database, &token).await;
    database.close().await?;
    rotated
}

async fn load_and_rotate(project: &Project, database: &OpenDatabase, token: &str) -> Result<()> {
    project.check_keys(database).await?;
    match project.load(database, shutdown_signal()?).await? {
        Some(app) => rotate(app, token).await,
        None => Ok(()),
    }
}

async fn rotate(app: Arc<App>, token: &str) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(app, listener, std::future::pending()));

    // What others held or changed meanwhile is left to the next round.
    let mut total = 0;
    loop {
        let round = rotate_once(address, token).await?;
        total += round.moved;
        if round.rows_left == 0 {
            say(&format!("{total} rows moved: every stored secret is sealed under the first key, the others may go"));
            return Ok(());
        }
        if round.moved == 0 {
            let rows = round.unreadable.join(", ");
            bail!("{total} rows moved, {} left; keep every key: no key of the list opens {rows}", round.rows_left);
        }
    }
}

/// Every batch once, from the first row to the last.
async fn rotate_once(address: SocketAddr, token: &str) -> Result<Response> {
    let mut round = Response { moved: 0, rows_left: 0, unreadable: Vec::new(), next: None };
    let mut body = "{}".to_owned();
    loop {
        let answer = post(address, token, &body).await?;
        let batch: Response =
            serde_json::from_str(&answer).with_context(|| format!("the function answered {answer}"))?;
        round.moved += batch.moved;
        round.rows_left = batch.rows_left;
        round.unreadable.extend(batch.unreadable);
        let Some(next) = batch.next else { return Ok(round) };
        say(&format!("{} rows moved to the first key, {} left", round.moved, round.rows_left));
        body = serde_json::to_string(&next)?;
    }
}

async fn post(address: SocketAddr, token: &str, body: &str) -> Result<String> {
    let request = format!(
        "POST /function/rotate-keys HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").context("the function did not answer")?;
    Ok(body.to_owned())
}
