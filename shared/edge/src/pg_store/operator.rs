//! An operator's actions, the audit, key rotation.

use super::calls::{Administer, FindStale, FreeAddress, MoveSecrets, NoteAuditRead, ReadAudit};
use super::client::{Link, PgStore};
use super::parameters::{Noted, moved_secrets};
use super::rows::{Admitted, EntryRow, StaleRow};
use cofrap_accounts::{
    Account, AccountStatus, Attempt, AuditEntry, AuditFilter, MovedSecrets, OperatorProof, OperatorStore,
    RateLimitKeys, RotationCursor, Saved, StaleBatch, StoreError,
};
use cofrap_crypto::{KeyId, RowMac};
use std::net::IpAddr;

/// How many rows of each table a batch of a key rotation takes.
const ROTATION_BATCH: i64 = 50;

/// How far the rows that are left are counted, in every batch.
const COUNTED_ROWS: i64 = 10_000;

impl<L: Link> OperatorStore for PgStore<L> {
    fn administer(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        account: &Account,
        status: AccountStatus,
        (mac, key): (&RowMac, &KeyId),
    ) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(account.id));
        let call = Administer {
            attempt: noted.attempt(),
            limits: noted.limits(),
            operator_proof: operator.as_str(),
            unlocked_subject: &attempt.rate_limit_keys.name,
            is_disabled: status.is_disabled(),
            standing_key: key.as_str(),
            standing_binding: mac.as_str(),
            seen_security_counter: account.counters.security,
            seen_state: account.status.state.as_str(),
            needed_keys: attempt.needed_keys,
        };
        self.note(&noted, call)
    }

    fn free_address(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        address: IpAddr,
        [counted, by_operator]: [&RateLimitKeys; 2],
    ) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, None);
        let call = FreeAddress {
            attempt: noted.attempt(),
            limits: noted.limits(),
            operator_proof: operator.as_str(),
            freed: &address.to_string(),
            freed_subject: &counted.address,
            freed_issuances_subject: &counted.issuances,
            freed_operator_subject: &by_operator.address,
        };
        self.note(&noted, call)
    }

    fn note_audit_read(&mut self, attempt: &Attempt<'_>, operator: &OperatorProof) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, None);
        let call =
            NoteAuditRead { attempt: noted.attempt(), limits: noted.limits(), operator_proof: operator.as_str() };
        self.note(&noted, call)
    }

    fn read_audit(
        &mut self,
        operator: &OperatorProof,
        filter: &AuditFilter<'_>,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let rows: Admitted<Vec<EntryRow>> = self.call(ReadAudit {
            operator_proof: operator.as_str(),
            given_name: filter.username,
            before: filter.before,
            max_rows: filter.limit,
        })?;
        Ok(rows.answer()?.into_iter().map(EntryRow::read).collect())
    }

    fn find_stale(
        &mut self,
        operator: &OperatorProof,
        first: &KeyId,
        after: &RotationCursor,
    ) -> Result<StaleBatch, StoreError> {
        let row: Admitted<StaleRow> = self.call(FindStale {
            operator_proof: operator.as_str(),
            first_key: first.as_str(),
            after_account: after.account,
            after_history: after.history,
            max_rows: ROTATION_BATCH,
            max_count: COUNTED_ROWS,
        })?;
        row.answer()?.read()
    }

    fn move_secrets(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        moved: &MovedSecrets,
        first: &KeyId,
    ) -> Result<Saved<i64>, StoreError> {
        let noted = Noted::of(attempt, None);
        let (accounts, history) = moved_secrets(moved);
        let call = MoveSecrets {
            attempt: noted.attempt(),
            limits: noted.limits(),
            operator_proof: operator.as_str(),
            accounts: &accounts,
            history: &history,
            first_key: first.as_str(),
            forgets_keys: moved.accounts.is_empty() && moved.history.is_empty(),
        };
        self.attempt(&noted, call, |moved: i64| moved)
    }
}
