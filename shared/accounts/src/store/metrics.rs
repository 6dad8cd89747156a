//! What the metrics show.

use crate::types::time::UnixTime;
use std::collections::BTreeMap;

/// The metrics.
#[derive(Debug)]
pub struct Metrics {
    /// Attempts since the database was migrated to version 9.
    pub attempts: Vec<AttemptCount>,
    /// How much of each table's numbers is used.
    pub sequences: Vec<SequenceUse>,
    /// Estimated audit rows.
    pub audit_rows: i64,
    /// Bytes of the audit with its indexes.
    pub audit_bytes: i64,
    /// Bytes of the database.
    pub database_bytes: i64,
    /// Transactions of the server since the last one whose attempts are in the totals.
    pub uncounted_transactions: i64,
    /// Seconds that the functions' clock is ahead of the database's.
    pub clock_offset: f64,
    /// Connections to the database's server.
    pub connections: i64,
    /// The most connections that it takes.
    pub connections_limit: i64,
    /// What maintenance last counted; none before its first run.
    pub accounts: Option<AccountGauges>,
}

/// How many attempts had the same labels.
#[derive(Debug)]
pub struct AttemptCount {
    /// The word of the action in the audit.
    pub action: String,
    /// The component; empty for rows of other programs.
    pub route: String,
    /// Whether they succeeded.
    pub success: bool,
    /// The word of the reason, if they failed.
    pub reason: String,
    /// What each of them locked: `account`, `address`, `codes`.
    pub locks: Vec<String>,
    /// How many.
    pub total: u64,
}

/// How much of a table's numbers is used.
#[derive(Debug)]
pub struct SequenceUse {
    /// The table.
    pub table: String,
    /// The last number.
    pub last: i64,
    /// The largest possible number.
    pub largest: i64,
}

/// What maintenance counted of the accounts: for each label, a count for each value.
#[derive(Debug)]
pub struct AccountGauges {
    /// When.
    pub at: UnixTime,
    /// `accounts` by state, `passwords` and `second_factor_ages` by remaining days, `second_factors` by state, `keys` by key name, `flags`.
    pub groups: BTreeMap<String, BTreeMap<String, i64>>,
}
