//! Indexes that are built beside whoever writes the table.

use crate::error::refused;
use anyhow::{Context, Result};
use tokio_postgres::Client;

/// Builds an index of the schema public by a `CREATE INDEX CONCURRENTLY`, if it is not there, and anew where an earlier run was cut off. Whether
/// there was something to do.
pub(crate) async fn build(client: &Client, name: &str, statement: &str) -> Result<bool> {
    let is_valid = "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass('public.' || $1::text)";
    match client.query_opt(is_valid, &[&name]).await.map_err(refused)?.map(|row| row.get::<_, bool>(0)) {
        Some(true) => return Ok(false),
        Some(false) => {
            client.batch_execute(&format!("DROP INDEX CONCURRENTLY public.{name}")).await.map_err(refused)?;
        }
        None => {}
    }
    let built = client.batch_execute(statement).await.map_err(refused);
    built.with_context(|| format!("cannot build the index {name}"))?;
    Ok(true)
}
