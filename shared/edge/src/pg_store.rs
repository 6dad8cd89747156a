//! The accounts in PostgreSQL: each method of the domain's store is one call of one of the database's functions, which is one
//! transaction.
//!
//! A request makes at most two of them: one that reads, then one that writes. A reading one is made once more if its connection
//! turns out to be broken; a writing one is not, since nobody knows whether it was done.

// On 32 bits, where it ships, it is below the lint's limit.
#![cfg_attr(
    target_pointer_width = "64",
    expect(clippy::result_large_err, reason = "the size of an error is in its WIT signature")
)]

#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "parameters are named where they are declared, in the functions' files"
)]
mod calls;
mod errors;
mod parameters;
mod rows;

use crate::trace::{Attempted, note_attempt, timed};
use calls::{
    Administer, Call, CancelSecondFactor, CompleteLogin, CompleteUsualLogin, CountAccounts, CreateAccount, EndSession,
    EndSessions, Find, FindNames, FindSession, FindStale, FreeAddress, KeepPartitions, Maintain, MarkExpired,
    MaskNames, MoveSecrets, NoteAuditRead, NoteFactor, ReadActivity, ReadAudit, ReadHealth, ReadMetrics, ReadSessions,
    Refuse, RefuseLocked, RemoveAccounts, RenewSession, ReplacePassword, ReplaceSecondFactor, RollUpAttempts,
};
use cofrap_accounts::{
    Account, AccountId, Age, Attempt, AuditEntry, AuditFilter, Grant, HealthReading, MaintenanceBatch, Metrics,
    MovedSecrets, NamedEntry, NewAccount, NewPassword, NewSecondFactor, OpenSession, OperatorProof, Partitions,
    ProvenFactor, ProvenLogin, Reading, Reason, Refusal, Retention, RotationCursor, Saved, SessionAccount, Spelling,
    StaleBatch, Standing, Store, StoreError, Subjects, TakesEffect, TooManyAttempts, UnixTime, Username,
};
use cofrap_crypto::{Binding, KeyId, Sealed, SessionClaims, SessionId, TotpStep};
use errors::{failed, is_broken, is_outcome_unknown};
use parameters::{Noted, change, login, seen_by_factor, seen_by_grant, seen_by_login};
use rows::{
    Admitted, CountersRow, EntryRow, HealthRow, MaintenanceRow, MetricsRow, NamesRow, OpenSessionRow, Outcome,
    PartitionsRow, ReadingRow, SessionRow, StaleRow,
};
use serde::de::DeserializeOwned;
use spin_sdk::pg4::{Connection, DbValue};
use std::cell::RefCell;
use std::net::IpAddr;
use zeroize::Zeroizing;

pub use calls::{CALLS, SCHEMA_VERSION};
pub use spin_sdk::pg4::{DbError, ParameterValue, PgError, QueryError};

/// Rows of each table that a batch of a rotation takes.
const ROTATION_BATCH: i64 = 50;

/// Rows that a rotation has left to move are counted no further: each batch counts them.
const COUNTED_ROWS: i64 = 10_000;

/// Which versions' functions are there. The one statement that is no call: it is asked where those called may be missing.
const SCHEMAS: &str = "/* schemas */ SELECT coalesce(string_agg(nspname, ',' ORDER BY nspname), '') AS schemas
                       FROM pg_catalog.pg_namespace WHERE nspname ~ '^cofrap_[0-9]+$'";

thread_local! {
    /// The instance's connection: an instance serves one request, on one thread.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Gives the connection back to the platform's pool; the next statement takes another.
pub(crate) fn release_connection() {
    CONNECTION.take();
}

/// What takes a call to the database, and brings its answer back.
pub trait Link {
    /// Runs a statement; the one text of its one row.
    ///
    /// # Errors
    /// As the platform has them.
    fn ask(&self, text: &'static str, parameters: &[ParameterValue]) -> Result<String, PgError>;
}

/// A connection of the platform's pool, which is taken when the first call is made.
pub struct PlatformLink {
    address: Zeroizing<String>,
}

impl Link for PlatformLink {
    fn ask(&self, text: &'static str, parameters: &[ParameterValue]) -> Result<String, PgError> {
        let connection = match CONNECTION.take() {
            Some(connection) => connection,
            // Connections come back within seconds: see `idle_session_timeout`.
            None => Connection::open(&self.address).or_else(|_| Connection::open(&self.address))?,
        };
        let answer = timed(|| connection.query(text, parameters))?;
        CONNECTION.set(Some(connection));
        Ok(match answer.rows.into_iter().next().and_then(|row| row.into_iter().next()) {
            Some(DbValue::Str(text)) => text,
            _ => String::new(),
        })
    }
}

/// The database. Each call is a transaction of its own.
pub struct PgStore<L = PlatformLink> {
    link: L,
}

impl PgStore {
    /// The database at an address.
    #[must_use]
    pub const fn at(address: Zeroizing<String>) -> Self {
        Self::over(PlatformLink { address })
    }
}

impl<L: Link> PgStore<L> {
    /// The database at the end of a link.
    #[must_use]
    pub const fn over(link: L) -> Self {
        Self { link }
    }

    /// Calls a function; what it answers.
    fn call<C: Call, T: DeserializeOwned>(&self, call: C) -> Result<T, StoreError> {
        let parameters = call.parameters();
        let answer = self.link.ask(C::TEXT, &parameters).or_else(|error| {
            if C::IS_READ_ONLY && is_broken(&error) { self.link.ask(C::TEXT, &parameters) } else { Err(error) }
        });
        let answer = answer.map_err(|error| {
            let is_unknown = !C::IS_READ_ONLY && is_outcome_unknown(&error);
            let error = failed(error);
            if is_unknown { StoreError::OutcomeUnknown(error.to_string()) } else { error }
        })?;
        // The reason of a failure would show what is stored.
        let read = serde_json::from_str(&answer);
        read.map_err(|_| {
            let error = StoreError::CorruptAnswer(C::NAME);
            if C::IS_READ_ONLY { error } else { StoreError::OutcomeUnknown(error.to_string()) }
        })
    }

    /// Calls a function that notes an attempt; what it came to goes to the log as well.
    fn attempt<C: Call, T: DeserializeOwned, U>(
        &self,
        noted: &Noted<'_>,
        call: C,
        read: impl FnOnce(T) -> U,
    ) -> Result<Saved<U>, StoreError> {
        let saved = self.call(call).and_then(|outcome: Outcome<T>| outcome.saved(read))?;
        let reason = match &saved {
            Saved::Yes(_) => noted.refused_for(),
            Saved::Overtaken => Some(Reason::Overtaken),
            Saved::Locked => Some(Reason::TooManyAttempts),
            Saved::SessionEnded => Some(Reason::SessionEnded),
            // It is judged once more.
            Saved::Resealed => return Ok(saved),
        };
        let (action, account) = noted.what();
        note_attempt(Attempted { action, account, reason: reason.map(Reason::as_str) });
        Ok(saved)
    }

    /// Calls a function that changes an account.
    fn save(&self, noted: &Noted<'_>, call: impl Call) -> Result<Saved, StoreError> {
        self.attempt(noted, call, CountersRow::read)
    }

    /// Calls a function that does something and says no more than whether.
    fn note(&self, noted: &Noted<'_>, call: impl Call) -> Result<Saved<()>, StoreError> {
        self.attempt(noted, call, |()| ())
    }
}

impl<L: Link> Store for PgStore<L> {
    fn find(&mut self, username: &Username, spelling: Spelling, subjects: &Subjects) -> Result<Reading, StoreError> {
        let key = (spelling == Spelling::Any).then(|| username.sameness_key());
        let row: ReadingRow = self.call(Find {
            given_name: username.as_str(),
            name_key: key.as_deref(),
            places: &subjects.places(),
            address_subject: &subjects.address,
            generations_subject: &subjects.generations,
            name_subject: &subjects.name,
        })?;
        row.read(subjects)
    }

    fn find_session(&mut self, claims: &SessionClaims) -> Result<Option<SessionAccount>, StoreError> {
        let identity = rows::write_identity(&claims.identity);
        let session = rows::write_session(&claims.session_id);
        let call = FindSession { account: claims.user_id, identity: &identity, session: &session };
        let row: Option<SessionRow> = self.call(call)?;
        Ok(row.map(|row| row.read(claims.session_id)))
    }

    fn read_activity(&mut self, claims: &SessionClaims, limit: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let identity = rows::write_identity(&claims.identity);
        let rows: Vec<EntryRow> =
            self.call(ReadActivity { account: claims.user_id, identity: &identity, max_rows: limit })?;
        Ok(rows.into_iter().map(EntryRow::read).collect())
    }

    fn read_sessions(
        &mut self,
        claims: &SessionClaims,
        since: UnixTime,
        limit: i64,
    ) -> Result<Vec<OpenSession>, StoreError> {
        let identity = rows::write_identity(&claims.identity);
        let (account, since) = (claims.user_id, since.seconds());
        let rows: Vec<OpenSessionRow> =
            self.call(ReadSessions { account, identity: &identity, since, max_rows: limit })?;
        Ok(rows.into_iter().filter_map(OpenSessionRow::read).collect())
    }

    fn create_account(&mut self, attempt: &Attempt<'_>, account: &NewAccount<'_>) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, None);
        let call = CreateAccount {
            attempt: noted.attempt(),
            limits: noted.limits(),
            name_key: &account.username.sameness_key(),
            password: account.password.token(),
            password_key: account.password.key().map(KeyId::as_str),
            password_binding: account.password.binding().map(Binding::as_str),
            past_binding: account.past_password.binding().map(Binding::as_str),
            state: account.standing.state.as_str(),
            origin: account.standing.origin.as_str(),
            operator_touched: account.standing.is_touched(),
            standing_binding: account.binding.as_str(),
            is_legacy: account.legacy,
            place: &attempt.subjects.place,
            needed_keys: attempt.needed_keys,
        };
        self.save(&noted, call)
    }

    fn replace_password(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        new: &NewPassword<'_>,
    ) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(grant.account().id));
        let session = grant.session().map(rows::write_session);
        let call = ReplacePassword {
            attempt: noted.attempt(),
            seen: seen_by_grant(grant, session.as_deref(), attempt),
            limits: noted.limits(),
            change: change(
                &new.change,
                grant,
                grant.previous_after_password(attempt.at),
                new.password.key(),
                new.expiry,
                attempt,
            ),
            new_password: new.password.token(),
            new_password_binding: new.password.binding().map(Binding::as_str),
            past_binding: new.past_password.binding().map(Binding::as_str),
            starts_over: grant.starts_over(),
        };
        self.save(&noted, call)
    }

    fn replace_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        new: &NewSecondFactor<'_>,
    ) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(grant.account().id));
        let session = grant.session().map(rows::write_session);
        let seen_mfa = grant.account().second_factor.as_ref().map_or("", |factor| factor.secret.token());
        let call = ReplaceSecondFactor {
            attempt: noted.attempt(),
            seen: calls::Seen { seen_mfa: Some(seen_mfa), ..seen_by_grant(grant, session.as_deref(), attempt) },
            limits: noted.limits(),
            change: change(
                &new.change,
                grant,
                grant.previous_after_second_factor(),
                new.secret.key(),
                new.expiry,
                attempt,
            ),
            new_mfa: new.secret.token(),
            new_mfa_binding: new.secret.binding().map(Binding::as_str),
            waits: new.takes_effect == TakesEffect::AtItsFirstCode,
        };
        self.save(&noted, call)
    }

    fn complete_login(
        &mut self,
        attempt: &Attempt<'_>,
        proven: &ProvenLogin<'_>,
        session: Option<&SessionId>,
    ) -> Result<Saved, StoreError> {
        let session = session.map(rows::write_session);
        let noted = Noted::of(attempt, Some(proven.account().id));
        let limits = noted.limits();
        if proven.is_usual() && attempt.needed_keys.is_empty() {
            let seen = seen_by_login(proven, attempt);
            let call = CompleteUsualLogin {
                attempt: noted.attempt(),
                seen_password_generation: seen.seen_password_generation,
                seen_mfa_generation: seen.seen_mfa_generation,
                seen_security_counter: seen.seen_security_counter,
                seen_login_counter: seen.seen_login_counter,
                seen_password: seen.seen_password.unwrap_or_default(),
                seen_mfa: seen.seen_mfa.unwrap_or_default(),
                step: seen.step,
                otp_limit: seen.otp_limit,
                address_subject: limits.address_subject,
                address_limit: limits.address_limit,
                address_window: limits.address_window,
                name_subject: limits.name_subject,
                name_place: limits.name_place,
                place: &attempt.subjects.place,
                details: &parameters::details(attempt, session.as_deref(), proven.account().counters.session_epoch),
            };
            return self.save(&noted, call);
        }
        let call = CompleteLogin {
            attempt: noted.attempt(),
            seen: seen_by_login(proven, attempt),
            limits,
            login: login(proven, attempt),
            new_state: proven.standing().state.as_str(),
            standing_key: proven.key().as_str(),
            standing_binding: proven.binding().as_str(),
            place: &attempt.subjects.place,
            session: session.as_deref(),
        };
        self.save(&noted, call)
    }

    fn mark_expired(&mut self, attempt: &Attempt<'_>, proven: &ProvenLogin<'_>) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(proven.account().id));
        let call = MarkExpired {
            attempt: noted.attempt(),
            seen: seen_by_login(proven, attempt),
            limits: noted.limits(),
            login: login(proven, attempt),
            marked_since: proven.marked_since().map(UnixTime::seconds),
        };
        self.save(&noted.because(Reason::Expired), call)
    }

    fn note_factor(&mut self, attempt: &Attempt<'_>, factor: &ProvenFactor<'_>) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(factor.account().id));
        let call = NoteFactor {
            attempt: noted.attempt(),
            seen: seen_by_factor(factor, attempt),
            limits: noted.limits(),
            must_renew: factor.must_renew(),
        };
        self.save(&noted, call)
    }

    fn refuse(&mut self, attempt: &Attempt<'_>, refusal: &Refusal) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, refusal.account);
        let call = Refuse {
            attempt: noted.refused(),
            limits: noted.limits(),
            reason: refusal.reason.as_str(),
            is_right_password: refusal.right_password,
            is_wrong_code: refusal.wrong_code,
            step: refusal.step.map(TotpStep::number),
            otp_limit: attempt.limits.otp_failures,
        };
        self.note(&noted.because(refusal.reason), call)
    }

    fn refuse_locked(
        &mut self,
        attempt: &Attempt<'_>,
        account: Option<AccountId>,
        lock: &TooManyAttempts,
    ) -> Result<(), StoreError> {
        let noted = Noted::of(attempt, account);
        let (locked_subject, scope) =
            if lock.of_address { (&attempt.subjects.address, "address") } else { (&attempt.subjects.name, "account") };
        let call = RefuseLocked { attempt: noted.refused(), locked_subject, scope };
        self.note(&noted.because(Reason::TooManyAttempts), call).map(|_| ())
    }

    fn renew_session(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = rows::write_session(&session.session);
        let call =
            RenewSession { attempt: noted.attempt(), seen_session_epoch: session.epoch, seen_session: &seen_session };
        self.note(&noted, call)
    }

    fn end_session(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
        ends: UnixTime,
    ) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = rows::write_session(&session.session);
        let call = EndSession {
            attempt: noted.attempt(),
            seen_session_epoch: session.epoch,
            seen_session: &seen_session,
            ends_at: ends.seconds(),
        };
        self.note(&noted, call)
    }

    fn cancel_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
    ) -> Result<Saved<bool>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = rows::write_session(&session.session);
        let call = CancelSecondFactor {
            attempt: noted.attempt(),
            seen_session_epoch: session.epoch,
            seen_session: &seen_session,
        };
        self.attempt(&noted, call, |has_waited: bool| has_waited)
    }

    fn end_sessions(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = rows::write_session(&session.session);
        let call =
            EndSessions { attempt: noted.attempt(), seen_session_epoch: session.epoch, seen_session: &seen_session };
        self.note(&noted, call)
    }

    fn administer(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        account: &Account,
        standing: Standing,
        (binding, key): (&Binding, &KeyId),
    ) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(account.id));
        let call = Administer {
            attempt: noted.attempt(),
            limits: noted.limits(),
            operator_proof: operator.as_str(),
            unlocked_subject: &attempt.subjects.name,
            is_disabled: standing.is_disabled(),
            standing_key: key.as_str(),
            standing_binding: binding.as_str(),
            seen_security_counter: account.counters.security,
            seen_state: account.standing.state.as_str(),
            needed_keys: attempt.needed_keys,
        };
        self.note(&noted, call)
    }

    fn free_address(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        address: IpAddr,
        [counted, by_operator]: [&Subjects; 2],
    ) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, None);
        let call = FreeAddress {
            attempt: noted.attempt(),
            limits: noted.limits(),
            operator_proof: operator.as_str(),
            freed: &address.to_string(),
            freed_subject: &counted.address,
            freed_generations_subject: &counted.generations,
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
        let (accounts, history) = parameters::moved_secrets(moved);
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

    fn maintain(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        retention: Retention,
        rows: i64,
    ) -> Result<Saved<MaintenanceBatch>, StoreError> {
        let noted = Noted::of(attempt, None);
        let call = Maintain {
            attempt: noted.attempt(),
            limits: noted.limits(),
            operator_proof: operator.as_str(),
            refusals_days: retention.refusals_days,
            actions_days: retention.actions_days,
            max_rows: rows,
        };
        self.attempt(&noted, call, MaintenanceRow::read)
    }

    fn remove_accounts(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        count: usize,
    ) -> Result<Vec<String>, StoreError> {
        let noted = Noted::of(attempt, None);
        let removed: Admitted<Vec<String>> = self.call(RemoveAccounts {
            attempt: noted.attempt(),
            operator_proof: operator.as_str(),
            max_rows: i64::try_from(count).unwrap_or(i64::MAX),
        })?;
        removed.answer()
    }

    fn keep_partitions(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        retention: Retention,
    ) -> Result<Partitions, StoreError> {
        let row: Admitted<PartitionsRow> = self.call(KeepPartitions {
            operator_proof: operator.as_str(),
            moment: now.seconds(),
            refusals_days: retention.refusals_days,
            actions_days: retention.actions_days,
        })?;
        row.answer().map(PartitionsRow::read)
    }

    fn find_names(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        rows: i64,
    ) -> Result<Vec<NamedEntry>, StoreError> {
        let operator_proof = operator.as_str();
        let rows: Admitted<Vec<NamesRow>> =
            self.call(FindNames { operator_proof, moment: now.seconds(), max_rows: rows })?;
        Ok(rows.answer()?.into_iter().map(NamesRow::read).collect())
    }

    fn mask_names(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        masked: &[NamedEntry],
    ) -> Result<i64, StoreError> {
        let (operator_proof, masked) = (operator.as_str(), parameters::masked_names(masked));
        let changed: Admitted<i64> = self.call(MaskNames { operator_proof, moment: now.seconds(), masked: &masked })?;
        changed.answer()
    }

    fn count_accounts(&mut self, operator: &OperatorProof, now: UnixTime, max_age: Age) -> Result<(), StoreError> {
        let (operator_proof, moment) = (operator.as_str(), now.seconds());
        let max_age = i64::try_from(max_age.seconds()).unwrap_or(i64::MAX);
        let counted: Admitted<()> = self.call(CountAccounts { operator_proof, moment, max_age })?;
        counted.answer()
    }

    fn roll_up_attempts(&mut self, rows: i64) -> Result<(), StoreError> {
        self.call(RollUpAttempts { max_rows: rows }).map(|_: i64| ())
    }

    fn read_metrics(&mut self, now: UnixTime) -> Result<Metrics, StoreError> {
        let row: MetricsRow = self.call(ReadMetrics { moment: now.seconds() })?;
        Ok(row.read())
    }

    fn read_health(&mut self) -> Result<HealthReading, StoreError> {
        let schemas = self.link.ask(SCHEMAS, &[]).map_err(failed)?;
        let schemas = schemas.split(',').map(str::to_owned).filter(|schema| !schema.is_empty()).collect();
        match self.call(ReadHealth {}) {
            Ok(row) => HealthRow::read(row, schemas),
            Err(StoreError::SchemaMissing(_)) => {
                Ok(HealthReading { schemas, keys: None, weak_sequences: Vec::new(), takes_writes: true })
            }
            Err(error) => Err(error),
        }
    }
}

/// A sealed secret's token, key and binding.
fn columns(sealed: Option<&Sealed>) -> (Option<&str>, Option<&str>, Option<&str>) {
    let Some(sealed) = sealed else { return (None, None, None) };
    (Some(sealed.token()), sealed.key().map(KeyId::as_str), sealed.binding().map(Binding::as_str))
}
