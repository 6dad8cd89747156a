//! The sequences that number rows: restored, copied or replicated rows may have left one behind.

use crate::error::refused;
use crate::roles::{NUMBERED, sequence_of};
use anyhow::{Context, Result};
use tokio_postgres::Client;

/// Sets each sequence behind the highest number that is taken. One that is further stays.
///
/// # Errors
/// When the database refuses a statement.
pub async fn catch_up(client: &Client) -> Result<()> {
    for table in NUMBERED {
        if let Some(sequence) = sequence_of(client, table).await? {
            let set = format!(
                "SELECT setval('{0}', n.highest) FROM (SELECT max(id) AS highest FROM public.{table}) n, {sequence} s
                 WHERE n.highest > CASE WHEN s.is_called THEN s.last_value ELSE s.last_value - 1 END",
                sequence.replace('\'', "''")
            );
            client
                .batch_execute(&set)
                .await
                .map_err(refused)
                .with_context(|| format!("cannot number rows of {table}"))?;
        }
    }
    Ok(())
}
