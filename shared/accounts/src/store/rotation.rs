//! Rows of a key rotation: stored secrets that are encrypted again under the first key.

use crate::store::snapshot::StoredKeys;
use crate::types::account::{Account, AccountId, AccountStatus};
use cofrap_crypto::{RowMac, Sealed};

/// How far a rotation has come: the number of the last row of each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RotationCursor {
    /// In `users_v2`.
    pub account: i64,
    /// In `password_history_v2`.
    pub history: i64,
}

/// Rows with a secret that is not encrypted under the first key, or has no MAC.
#[derive(Debug)]
pub struct StaleBatch {
    /// Accounts.
    pub accounts: Vec<Account>,
    /// Rows of the password history.
    pub history: Vec<PastPassword>,
    /// How many such rows there are, this batch included.
    pub rows_left: i64,
    /// The keys that stored secrets need.
    pub keys: StoredKeys,
}

/// A row of the password history.
#[derive(Debug)]
pub struct PastPassword {
    /// Its number.
    pub id: i64,
    /// The account's name.
    pub owner: String,
    /// The former password.
    pub password: Sealed,
}

/// A secret that was encrypted again.
#[derive(Debug)]
pub struct MovedSecret {
    /// The token that was read.
    pub old: String,
    /// The secret to store.
    pub new: Sealed,
}

/// An account whose secrets were encrypted again.
#[derive(Debug)]
pub struct MovedAccount {
    /// Its number.
    pub id: AccountId,
    /// Its password.
    pub password: MovedSecret,
    /// Its second factor, if it has one.
    pub second_factor: Option<MovedSecret>,
    /// The second factor that waits, if one does.
    pub pending: Option<MovedSecret>,
    /// Its status, which must not have changed.
    pub status: AccountStatus,
    /// The MAC of the status.
    pub mac: RowMac,
}

/// Secrets that were encrypted again.
#[derive(Debug, Default)]
pub struct MovedSecrets {
    /// Of accounts.
    pub accounts: Vec<MovedAccount>,
    /// Of the password history, by row.
    pub history: Vec<(i64, MovedSecret)>,
}
