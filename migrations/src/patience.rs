//! Locks that others must not wait behind: a statement gives up soon, and is tried again.

use crate::error::refused;
use anyhow::{Result, bail};
use std::fmt;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// For the session: not to wait for a lock longer than this.
pub(crate) const IMPATIENT: &str = "SET lock_timeout = '500ms'";

/// For the session: to wait as long as it was to before.
pub(crate) const PATIENT: &str = "RESET lock_timeout";

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Tries: ten minutes.
const TRIES: usize = 400;

/// Runs statements that lock a table of everybody's, in one transaction, until nobody is in the way.
pub(crate) async fn patiently(client: &Client, statements: &str) -> Result<()> {
    let mut patience = Patience::default();
    loop {
        client.batch_execute(IMPATIENT).await.map_err(refused)?;
        let done = client.batch_execute(statements).await;
        client.batch_execute(PATIENT).await.map_err(refused)?;
        match done {
            Err(error) if is_in_use(&error) => patience.wait().await?,
            done => return done.map_err(refused),
        }
    }
}

/// How often something was tried that gives up soon where somebody is in the way: whoever waits for such a lock has everybody else wait behind
/// it.
#[derive(Default)]
pub(crate) struct Patience {
    tries: usize,
}

impl Patience {
    /// Waits before the next try.
    ///
    /// # Errors
    /// When it was the last.
    pub(crate) async fn wait(&mut self) -> Result<()> {
        self.tries += 1;
        if self.tries >= TRIES {
            bail!("others use the tables all the time: try again when they do not");
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

/// Somebody held what was to be locked: another try may do.
#[derive(Debug)]
pub(crate) struct InUse;

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("others use the tables")
    }
}

impl std::error::Error for InUse {}

/// Whether somebody else holds what a statement waited for.
pub(crate) fn is_in_use(error: &tokio_postgres::Error) -> bool {
    [Some(&SqlState::LOCK_NOT_AVAILABLE), Some(&SqlState::T_R_DEADLOCK_DETECTED)].contains(&error.code())
}
