//! What the store writes about accounts.

use crate::types::account::{AccountStatus, Expiry};
use crate::types::username::Username;
use crate::verify::grant::{CredentialChange, TakesEffect};
use cofrap_crypto::{RowMac, Sealed};

/// An account to create.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Its name.
    pub username: &'a Username,
    /// Its password.
    pub password: &'a Sealed,
    /// The password for the history, which has its own MAC.
    pub past_password: &'a Sealed,
    /// Its status.
    pub status: AccountStatus,
    /// The MAC of the status.
    pub mac: &'a RowMac,
    /// Whether it is created under the legacy policy.
    pub legacy: bool,
}

/// A password to replace the present one.
#[derive(Debug)]
pub struct NewPassword<'a> {
    /// The new password.
    pub password: &'a Sealed,
    /// The new password for the history, which has its own MAC.
    pub past_password: &'a Sealed,
    /// Whether the account is marked as expired after it.
    pub expiry: Expiry,
    /// What else changes.
    pub change: CredentialChange<'a>,
}

/// A second factor to replace the present one.
#[derive(Debug)]
pub struct NewSecondFactor<'a> {
    /// The new secret.
    pub secret: &'a Sealed,
    /// When it is in force.
    pub takes_effect: TakesEffect,
    /// Whether the account is marked as expired after it.
    pub expiry: Expiry,
    /// What else changes.
    pub change: CredentialChange<'a>,
}

/// Which audit rows are read.
#[derive(Debug)]
pub struct AuditFilter<'a> {
    /// Of attempts under this name.
    pub username: Option<&'a str>,
    /// Older than the row of this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}
