//! `read_metrics`: what a monitoring system asks for.

use crate::{Bearer, Clock, Env, MetricsKeys, Store, StoreError, UnixTime};
use rand_core::CryptoRng;
use std::collections::BTreeMap;

/// What a monitoring system is told.
#[derive(Debug)]
pub struct Metrics {
    /// Attempts since the database was brought to version 9.
    pub attempts: Vec<AttemptCount>,
    /// How far each table's numbers have come.
    pub sequences: Vec<SequenceUse>,
    /// Rows of the audit, as the database estimates them.
    pub audit_rows: i64,
    /// Bytes of the audit, its indexes included.
    pub audit_bytes: i64,
    /// Bytes of the database.
    pub database_bytes: i64,
    /// Transactions of the server since the one up to which attempts are counted for good.
    pub uncounted_transactions: i64,
    /// Seconds that the functions' clock is ahead of the database's.
    pub clock_offset: f64,
    /// Connections to the database's server.
    pub connections: i64,
    /// The most that it takes.
    pub connections_limit: i64,
    /// What maintenance counted last; none before the first time.
    pub accounts: Option<AccountGauges>,
}

/// How many attempts were alike.
#[derive(Debug)]
pub struct AttemptCount {
    /// The word of the [`crate::Action`].
    pub action: String,
    /// Which component was asked; empty for rows of other programs.
    pub route: String,
    /// Whether they were done.
    pub success: bool,
    /// The word of the [`crate::Reason`], if not.
    pub reason: String,
    /// What each of them locked.
    pub locks: Vec<String>,
    /// How many.
    pub total: u64,
}

/// How far a table's numbers have come.
#[derive(Debug)]
pub struct SequenceUse {
    /// The table.
    pub table: String,
    /// The last number.
    pub last: i64,
    /// The largest that there is.
    pub largest: i64,
}

/// What maintenance counted of the accounts: by what they are counted as, and by its values.
#[derive(Debug)]
pub struct AccountGauges {
    /// When.
    pub at: UnixTime,
    /// `accounts` by state, `passwords` and `second_factor_ages` by how long they last, `second_factors` by where they stand, `keys` by name,
    /// `flags`.
    pub groups: BTreeMap<String, BTreeMap<String, i64>>,
}

/// Why nobody is told.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// No token is configured, or another one was shown: a stranger is not told which.
    #[error("there are no metrics for who shows no token")]
    NotOffered,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows of the audit that a request adds to the totals before it reads them; the rest is counted as it is read.
const ROLLED_UP: i64 = 50_000;

/// Reads the metrics.
///
/// # Errors
/// See [`MetricsError`].
pub fn read_metrics(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, MetricsKeys>,
    bearer: &Bearer,
) -> Result<Metrics, MetricsError> {
    let token = env.keys.token.as_ref().ok_or(MetricsError::NotOffered)?;
    if !bearer.token().is_some_and(|shown| token.matches(shown)) {
        return Err(MetricsError::NotOffered);
    }
    env.store.roll_up_attempts(ROLLED_UP)?;
    Ok(env.store.read_metrics(env.clock.now())?)
}
