//! What the database's functions answer: one JSON text. An answer that cannot be read is located, and never shown.

mod account;
mod audit;
mod observation;

use cofrap_accounts::{Counters, Saved, StoreError};
use cofrap_crypto::{Identity, SessionId};
use serde::Deserialize;

pub(super) use account::{SessionRow, SnapshotRow, StaleRow};
pub(super) use audit::{EntryRow, MaintenanceRow, NamesRow, OpenSessionRow, PartitionsRow};
pub(super) use observation::{HealthRow, MetricsRow};

/// The result of a writing function.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome<T> {
    Done(T),
    Overtaken,
    TooManyAttempts,
    SessionEnded,
    Resealed,
    NotTheOperator,
}

impl<T> Outcome<T> {
    pub(super) fn saved<U>(self, read: impl FnOnce(T) -> U) -> Result<Saved<U>, StoreError> {
        Ok(match self {
            Self::Done(done) => Saved::Yes(read(done)),
            Self::Overtaken => Saved::Overtaken,
            Self::TooManyAttempts => Saved::Locked,
            Self::SessionEnded => Saved::SessionEnded,
            Self::Resealed => Saved::Resealed,
            Self::NotTheOperator => return Err(StoreError::NotTheOperator),
        })
    }
}

/// The answer of a reading function that checks the operator's proof.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Admitted<T> {
    Done(T),
    NotTheOperator,
}

impl<T> Admitted<T> {
    pub(super) fn answer(self) -> Result<T, StoreError> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::NotTheOperator => Err(StoreError::NotTheOperator),
        }
    }
}

/// An account's counters after a change.
#[derive(Deserialize)]
pub(super) struct CountersRow {
    password_generation: i64,
    mfa_generation: i64,
    login_counter: i64,
    security_counter: i64,
    session_epoch: i64,
    /// The identity of the account and of the database, if it may be new.
    #[serde(default)]
    identity: Option<String>,
}

impl CountersRow {
    pub(super) fn read(self) -> Counters {
        Counters {
            password_version: self.password_generation,
            mfa_version: self.mfa_generation,
            login: self.login_counter,
            security: self.security_counter,
            session_epoch: self.session_epoch,
            identity: self.identity.as_deref().and_then(read_identity),
        }
    }
}

/// 32 bytes from twice as many hexadecimal digits.
fn read_identity(text: &str) -> Option<Identity> {
    let (account, database) = text.split_at_checked(32)?;
    let [account, database] = [account, database].map(|half| u128::from_str_radix(half, 16));
    [account.ok()?.to_be_bytes(), database.ok()?.to_be_bytes()].concat().try_into().ok()
}

pub(super) fn write_identity(identity: &Identity) -> String {
    let (halves, _) = identity.as_chunks();
    let [account, database] = [0, 1].map(|half| halves.get(half).copied().map_or(0, u128::from_be_bytes));
    format!("{account:032x}{database:032x}")
}

pub(super) fn write_session(session: &SessionId) -> String {
    format!("{:032x}", u128::from_be_bytes(*session))
}
