//! The [`Store`] and its sisters: each method is one statement of the database. It checks that the account has not changed since it was read, counts, writes
//! the change and the audit row, all together or not at all.

use crate::limits::rate_limit::{RateLimitKeys, TooManyAttempts};
use crate::store::accounts::{AuditFilter, NewAccount, NewPassword, NewSecondFactor};
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, StoreError};
use crate::store::maintenance::{MaintenanceBatch, NamedEntry, Partitions};
use crate::store::metrics::Metrics;
use crate::store::rotation::{MovedSecrets, RotationCursor, StaleBatch};
use crate::store::snapshot::{AccountSnapshot, HealthSnapshot, NameMatch, SessionAccount};
use crate::types::account::{Account, AccountId, AccountStatus};
use crate::types::audit::{AuditEntry, OpenSession};
use crate::types::settings::Retention;
use crate::types::time::{Age, UnixTime};
use crate::types::username::Username;
use crate::verify::grant::Grant;
use crate::verify::operator::OperatorProof;
use crate::verify::proven::{ProvenFactor, ProvenLogin};
use crate::verify::refusal::Refusal;
use cofrap_crypto::{KeyId, RowMac, SessionClaims, SessionId};
use std::net::IpAddr;

/// Where accounts are stored.
///
/// Every method fails with a [`StoreError`] when the database does not answer or a row cannot be understood. Nothing was written then, except
/// as [`StoreError::OutcomeUnknown`] says.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Store {
    /// Reads the account of a name, and the counts of the name and the caller's address.
    fn find(
        &mut self,
        username: &Username,
        name_match: NameMatch,
        rate_limit_keys: &RateLimitKeys,
    ) -> Result<AccountSnapshot, StoreError>;

    /// Creates a provisional account with its first password.
    fn create_account(&mut self, attempt: &Attempt<'_>, account: &NewAccount<'_>) -> Result<Saved, StoreError>;

    /// Replaces an account's password.
    fn replace_password(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        change: &NewPassword<'_>,
    ) -> Result<Saved, StoreError>;

    /// Replaces an account's second factor, or adds one that waits for its first code.
    fn replace_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        change: &NewSecondFactor<'_>,
    ) -> Result<Saved, StoreError>;

    /// Completes a login: activates the account, uses up the code's time step, ends the failures in a row. `session` is the identifier of the
    /// new session, if the policy issues one.
    fn complete_login(
        &mut self,
        attempt: &Attempt<'_>,
        login: &ProvenLogin<'_>,
        session: Option<&SessionId>,
    ) -> Result<Saved, StoreError>;

    /// Records a login whose right credentials are too old: marks the account as expired, uses up the code's time step.
    fn mark_expired(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError>;

    /// Records one right factor, which is no complete login: uses up a code's time step.
    fn note_factor(&mut self, attempt: &Attempt<'_>, factor: &ProvenFactor<'_>) -> Result<Saved, StoreError>;

    /// Records a refusal.
    fn refuse(&mut self, attempt: &Attempt<'_>, refusal: &Refusal) -> Result<Saved<()>, StoreError>;

    /// Records a refusal because a rate limit was reached before: nothing was checked.
    fn refuse_locked(
        &mut self,
        attempt: &Attempt<'_>,
        account: Option<AccountId>,
        lock: &TooManyAttempts,
    ) -> Result<(), StoreError>;
}

/// Sessions, and what their bearer sees. Errors as [`Store`].
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait SessionStore {
    /// Reads what a session needs of its account; none if the session was ended, or the account is another one with the same number.
    fn find_session(&mut self, claims: &SessionClaims) -> Result<Option<SessionAccount>, StoreError>;

    /// The last attempts on a session's account, the newest first.
    fn read_activity(&mut self, claims: &SessionClaims, limit: i64) -> Result<Vec<AuditEntry>, StoreError>;

    /// The complete logins of a session's account since a time whose sessions were not ended, the newest first.
    fn read_sessions(
        &mut self,
        claims: &SessionClaims,
        since: UnixTime,
        limit: i64,
    ) -> Result<Vec<OpenSession>, StoreError>;

    /// Records the renewal of a session, if it was not ended.
    fn renew_session(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError>;

    /// Ends one session. From `ends` on the session cannot be valid anyway, so that the mark may be removed.
    fn end_session(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
        ends: UnixTime,
    ) -> Result<Saved<()>, StoreError>;

    /// Drops the second factor that waits, if the session was not ended. Whether one waited.
    fn cancel_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
    ) -> Result<Saved<bool>, StoreError>;

    /// Ends all sessions of an account, if this one was not ended.
    fn end_sessions(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError>;
}

/// An operator's actions, the audit, key rotation. Errors as [`Store`].
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait OperatorStore: Store {
    /// Carries out an operator's action on an account.
    fn administer(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        account: &Account,
        status: AccountStatus,
        mac: (&RowMac, &KeyId),
    ) -> Result<Saved<()>, StoreError>;

    /// Forgets the counts of an address: those of routes with the encryption key, and those of routes with the operator's token alone.
    fn free_address(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        address: IpAddr,
        freed: [&RateLimitKeys; 2],
    ) -> Result<Saved<()>, StoreError>;

    /// Records that an operator reads the audit.
    fn note_audit_read(&mut self, attempt: &Attempt<'_>, operator: &OperatorProof) -> Result<Saved<()>, StoreError>;

    /// Audit rows, the newest first.
    fn read_audit(&mut self, operator: &OperatorProof, filter: &AuditFilter<'_>)
    -> Result<Vec<AuditEntry>, StoreError>;

    /// Rows with a secret that is not encrypted under the first key, or has no MAC.
    fn find_stale(
        &mut self,
        operator: &OperatorProof,
        first: &KeyId,
        after: &RotationCursor,
    ) -> Result<StaleBatch, StoreError>;

    /// Stores secrets that were encrypted again, where the rows still have the tokens that were read, and forgets keys that no row needs. How
    /// many rows were changed.
    fn move_secrets(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        moved: &MovedSecrets,
        first: &KeyId,
    ) -> Result<Saved<i64>, StoreError>;
}

/// Maintenance. Errors as [`Store`].
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait MaintenanceStore: Store {
    /// Carries out a batch of maintenance on at most so many rows of each kind.
    fn maintain(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        retention: Retention,
        rows: i64,
    ) -> Result<Saved<MaintenanceBatch>, StoreError>;

    /// Removes at most so many accounts that nobody has ever completed. Their names.
    fn remove_accounts(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        count: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// Makes the audit's partitions for coming months, and drops those whose rows are all older than their retention.
    fn keep_partitions(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        retention: Retention,
    ) -> Result<Partitions, StoreError>;

    /// Audit rows of at least 30 days with names that no account had.
    fn find_names(&mut self, operator: &OperatorProof, now: UnixTime, rows: i64)
    -> Result<Vec<NamedEntry>, StoreError>;

    /// Replaces the names in audit rows. How many rows were changed.
    fn mask_names(&mut self, operator: &OperatorProof, now: UnixTime, masked: &[NamedEntry])
    -> Result<i64, StoreError>;

    /// Counts the accounts for the metrics.
    fn count_accounts(&mut self, operator: &OperatorProof, now: UnixTime, max_age: Age) -> Result<(), StoreError>;
}

/// Metrics and health. Errors as [`Store`].
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait ObservationStore {
    /// Adds at most so many audit rows to the totals of the metrics.
    fn roll_up_attempts(&mut self, rows: i64) -> Result<(), StoreError>;

    /// The metrics.
    fn read_metrics(&mut self, now: UnixTime) -> Result<Metrics, StoreError>;

    /// What tells whether the functions can work.
    fn read_health(&mut self) -> Result<HealthSnapshot, StoreError>;
}
