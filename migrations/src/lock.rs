//! The advisory lock of runners: of two at once, the second finds nothing to do.

use anyhow::{Context, Result};
use std::time::Duration;
use tokio_postgres::Client;

/// The advisory lock that runners take, so that of two at once the second finds nothing to do. "COFR" in ASCII.
const LOCK: i64 = 0x434F_4652;

/// How long a runner waits before it asks again.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// Does something while no other runner does anything, and returns its result.
///
/// # Errors
/// Those of what is done, and when the database refuses the lock.
pub async fn with_lock<T>(client: &mut Client, work: impl AsyncFnOnce(&mut Client) -> Result<T>) -> Result<T> {
    lock(client).await?;
    let done = work(client).await;
    unlock(client, done).await
}

async fn lock(client: &Client) -> Result<()> {
    // Whoever waits in a statement is waited for by who builds an index beside others.
    while !client
        .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])
        .await
        .context("cannot take the migration lock")?
        .get::<_, bool>(0)
    {
        tokio::time::sleep(LOCK_INTERVAL).await;
    }
    Ok(())
}

/// Gives the lock back after what it was taken for, whatever that came to.
async fn unlock<T>(client: &Client, done: Result<T>) -> Result<T> {
    let unlocked = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await;
    let done = done?;
    unlocked.context("cannot give the migration lock back")?;
    Ok(done)
}
