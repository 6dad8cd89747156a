//! Results and rows of maintenance.

/// What happened to the audit's partitions, by name.
#[derive(Debug)]
pub struct Partitions {
    /// Made for coming months.
    pub made: Vec<String>,
    /// Dropped: every row was older than its retention.
    pub dropped: Vec<String>,
    /// Left for the next run, because others were using the table.
    pub busy: Vec<String>,
}

/// What happened to rows.
#[derive(Debug)]
pub struct MaintenanceBatch {
    /// Audit rows written for locked names and addresses, one for each minute.
    pub locked_minutes: i64,
    /// Audit rows added to the totals of the metrics.
    pub counted: i64,
    /// Audit rows of refused attempts removed.
    pub refusals: i64,
    /// Audit rows of successful actions removed.
    pub actions: i64,
    /// Rate-limit counts removed.
    pub counters: i64,
    /// Marks of ended sessions removed.
    pub sessions: i64,
    /// Whether the functions' clock and the database's differ by more than five minutes. Then nothing was removed.
    pub clocks_differ: bool,
    /// Whether more rows are due.
    pub has_more: bool,
}

/// An audit row with names that no account had.
#[derive(Debug)]
pub struct NamedEntry {
    /// Its number.
    pub id: i64,
    /// The given name.
    pub username: Option<String>,
    /// Whether an account has the name though the row does not say so.
    pub is_known: bool,
    /// The given names of a row that stands for many attempts, and whether an account had each.
    pub names: Option<Vec<(String, bool)>>,
}
