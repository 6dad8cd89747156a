//! `explain`: the plans of the statements inside the database's functions.

use super::prepared::{DATABASE, connect};
use anyhow::Result;
use cofrap_database::say;
use cofrap_host::{LocalPostgres, PostgresHome};

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
