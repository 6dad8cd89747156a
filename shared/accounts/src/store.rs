//! Where accounts are kept. Each method is a sentence of the domain and one statement of the database: it checks what
//! the account was when it was read, writes, and adds the attempt's audit row, all together or not at all.

use crate::{Account, AccountId, Attempt, Grant, ProvenLogin, Reason, Username};
use cofrap_crypto::Sealed;

/// What the store keeps and how it answers.
pub trait Store {
    /// Reads the account of a name.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer, or the row makes no sense.
    fn find(&mut self, username: &Username) -> Result<Found, StoreError>;

    /// Creates a provisional account with its first password.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer: nothing was written.
    fn create_account(&mut self, attempt: &Attempt<'_>, password: &Sealed) -> Result<Saved, StoreError>;

    /// Starts an account over: its password is replaced, its second factor erased.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer: nothing was written.
    fn start_over(&mut self, attempt: &Attempt<'_>, grant: &Grant<'_>, password: &Sealed) -> Result<Saved, StoreError>;

    /// Stores an account's second factor.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer: nothing was written.
    fn enroll(&mut self, attempt: &Attempt<'_>, grant: &Grant<'_>, secret: &Sealed) -> Result<Saved, StoreError>;

    /// Notes a complete login: the account is active, the code's step is used up.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer: nothing was written.
    fn complete_login(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError>;

    /// Notes a login that was right and too late: the account is marked as expired, the code's step is used up.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer: nothing was written.
    fn mark_expired(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError>;

    /// Notes an attempt that was refused.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer: nothing was written.
    fn refuse(&mut self, attempt: &Attempt<'_>, account: Option<AccountId>, reason: Reason) -> Result<(), StoreError>;
}

/// What a name led to.
#[derive(Debug)]
pub enum Found {
    /// The account of that name.
    Account(Account),
    /// No account has the name, but one has another spelling of it: they differ only in case.
    OtherCase,
    /// No account.
    Nobody,
}

impl Found {
    /// The account of that very name.
    #[must_use]
    pub fn account(self) -> Option<Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::OtherCase | Self::Nobody => None,
        }
    }
}

/// Whether a deed was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It was, with its audit row.
    Yes,
    /// Another request came first: only the audit row was written.
    Overtaken,
}

/// The store could not do what was asked; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or refused the statement.
    #[error("database: {0}")]
    Unavailable(String),
    /// A stored row makes no sense.
    #[error("table {table}, row {id}, column {column}: {problem}")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// The row's `id`, when it could be read.
        id: i64,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}
