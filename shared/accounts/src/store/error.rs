//! How a statement ends.

use crate::limits::rate_limit::TooManyAttempts;
use crate::types::account::Counters;

/// Whether a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved<T = Counters> {
    /// It was made, with its audit row. The account's counters after it, or another result.
    Yes(T),
    /// Another request was first: only the audit row was written.
    Overtaken,
    /// A rate limit was reached meanwhile: only the audit row was written.
    Locked,
    /// The session that the caller showed was ended meanwhile: only the audit row was written.
    SessionEnded,
    /// The account's secrets were encrypted again meanwhile: nothing was written, and the caller checks the credentials once more.
    Resealed,
}

/// What ends any operation early.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// A rate limit was reached.
    #[error(transparent)]
    TooManyAttempts(#[from] TooManyAttempts),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Stopped {
    /// A rate limit that parallel requests reached between this request's two statements.
    pub(crate) const fn locked_meanwhile() -> Self {
        Self::TooManyAttempts(TooManyAttempts::just_now())
    }
}

/// The store failed. Nothing was written, except as [`StoreError::OutcomeUnknown`] says.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or refused the statement.
    #[error("database: {0}")]
    Unavailable(String),
    /// The connection was lost after a writing statement was sent, so that it may have been carried out.
    #[error("database: the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The database lacks a table, a column or a function.
    #[error("the database was not migrated: {0}")]
    SchemaMissing(String),
    /// The configured keys do not decrypt what is stored.
    #[error("variable encryption_key: {0}")]
    WrongKeys(String),
    /// The database knows another operator's token.
    #[error("the database knows another operator's token: run `migrate` with this one as admin_token")]
    NotTheOperator,
    /// The database was restored from a backup, and `after-restore` has not run.
    #[error(
        "the database was restored: `cargo xtask after-restore` (or `cofrap-migrate --after-restore`) must treat it first"
    )]
    Restored,
    /// The answer of a function of the database cannot be parsed.
    #[error("the answer of the database's function {0} makes no sense")]
    CorruptAnswer(&'static str),
    /// A stored row cannot be understood.
    #[error("table {table}, row {id}, column {column}: {problem}")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// The row's `id`, when it could be read.
        id: i64,
        /// The column.
        column: &'static str,
        /// The problem.
        problem: &'static str,
    },
}
