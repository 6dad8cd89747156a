//! The accounts in PostgreSQL: what is asked of the domain's store, as statements, and what they answer.
//!
//! A request runs at most two of them: one that reads, then one that writes. A reading one is tried once more if its connection
//! turns out to be broken; a writing one is not, since nobody knows whether it was done.

// On 32 bits, where it ships, it is below the lint's limit.
#![cfg_attr(
    target_pointer_width = "64",
    expect(clippy::result_large_err, reason = "the size of an error is in its WIT signature")
)]

mod columns;
mod compact;
mod errors;
mod parameters;
mod statements;

use cofrap_accounts::{
    Account, AccountId, Attempt, AuditEntry, AuditFilter, Found, Grant, HealthReading, Moved, MovedSecrets, NewAccount,
    NewPassword, NewSecondFactor, ProvenFactor, ProvenLogin, Reading, Reason, Refusal, RotationCursor, Saved,
    SessionAccount, Spelling, StaleBatch, Standing, Store, StoreError, StoredKeys, Subjects, TakesEffect, Throttles,
    UnixTime, Username, Window,
};
use cofrap_crypto::{Binding, KeyId, TotpStep};
use columns::{Columns, read_account, read_entry, read_keys, read_past_password, read_saved};
use errors::{failed, is_broken};
use parameters::{Own, shared_parameters};
use spin_sdk::pg4::{Connection, DbValue, ParameterValue, PgError};
use statements::{
    ADMINISTER, CONCLUDE_LOGIN, CREATE_ACCOUNT, END_SESSIONS, Executes, FIND, FIND_SESSION, FIND_STALE, MOVE_SECRETS,
    NOTE_AUDIT_READ, NOTE_FACTOR, PUT_SECOND_FACTOR_BESIDE, READ_AUDIT, READ_HEALTH, REFUSE, REFUSE_LOCKED,
    RENEW_SESSION, REPLACE_PASSWORD, REPLACE_SECOND_FACTOR, Reads, Statement, Writes,
};
use std::cell::RefCell;
use zeroize::Zeroizing;

pub use statements::{SCHEMA_VERSION, StatementText, health_statement, statements};

/// Rows of each table that a batch of a rotation takes.
const ROTATION_BATCH: i64 = 50;

thread_local! {
    /// The instance's connection: an instance serves one request, on one thread.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Gives the connection back to the platform's pool; the next statement takes another.
pub(crate) fn release_connection() {
    CONNECTION.take();
}

/// The database. Each statement is a transaction of its own, on a connection of the platform's pool that is taken when the
/// first one runs.
pub struct PgStore {
    address: Zeroizing<String>,
}

impl PgStore {
    /// The database at an address.
    #[must_use]
    pub const fn at(address: Zeroizing<String>) -> Self {
        Self { address }
    }

    /// Runs `statement` on the connection, which is opened if there is none.
    fn on_connection<T>(&self, run: impl FnOnce(&Connection) -> Result<T, PgError>) -> Result<T, PgError> {
        let connection = match CONNECTION.take() {
            Some(connection) => connection,
            // Connections come back within seconds: see `idle_session_timeout`.
            None => Connection::open(&self.address).or_else(|_| Connection::open(&self.address))?,
        };
        let answer = run(&connection);
        if answer.is_ok() {
            CONNECTION.set(Some(connection));
        }
        answer
    }

    /// The rows of a reading statement, at least one.
    fn read(&self, statement: Reads, parameters: &[ParameterValue]) -> Result<Vec<Vec<DbValue>>, StoreError> {
        let text = statement.text();
        let query = || self.on_connection(|connection| connection.query(&text, parameters));
        query()
            .or_else(|error| if is_broken(&error) { query() } else { Err(error) })
            .map_err(failed)
            .map(|set| set.rows)
    }

    /// The row of a reading statement that has no more than one.
    fn read_one(&self, statement: Reads, parameters: &[ParameterValue]) -> Result<Vec<DbValue>, StoreError> {
        self.read(statement, parameters).map(first)
    }

    /// The one row of a writing statement.
    fn write(&self, statement: Writes, parameters: &[ParameterValue]) -> Result<Vec<DbValue>, StoreError> {
        let set = self.on_connection(|connection| connection.query(&statement.text(), parameters));
        set.map_err(failed).map(|set| first(set.rows))
    }

    fn execute(&self, statement: Executes, parameters: &[ParameterValue]) -> Result<(), StoreError> {
        self.on_connection(|connection| connection.execute(&statement.text(), parameters)).map_err(failed).map(|_| ())
    }

    /// Runs a writing statement with the shared parameters and its own.
    fn save(
        &self,
        statement: Writes,
        attempt: &Attempt<'_>,
        account: Option<AccountId>,
        own: Own,
    ) -> Result<Saved, StoreError> {
        self.save_with(statement, shared_parameters(attempt, account, Reason::Overtaken, None), own)
    }

    fn save_with(&self, statement: Writes, mut parameters: Vec<ParameterValue>, own: Own) -> Result<Saved, StoreError> {
        parameters.extend(own.0);
        read_saved(&self.write(statement, &parameters)?)
    }
}

/// That there is a row, the statement's type says.
fn first(rows: Vec<Vec<DbValue>>) -> Vec<DbValue> {
    rows.into_iter().next().unwrap_or_default()
}

impl Store for PgStore {
    fn find(&mut self, username: &Username, spelling: Spelling, subjects: &Subjects) -> Result<Reading, StoreError> {
        let key = (spelling == Spelling::InAnyCase).then(|| username.case_key());
        let own = Own::new()
            .text(username.as_str())
            .optional_text(key.as_ref())
            .text(&subjects.place)
            .text(&subjects.address)
            .text(&subjects.generations)
            .text(&subjects.name);
        let row = self.read_one(FIND, &own.0)?;
        let mut columns = Columns::of(&row, "throttles");
        let mut window = || -> Result<Option<Window>, StoreError> {
            let (count, since) = (columns.next::<Option<i64>>("failures")?, columns.next::<Option<i64>>("since")?);
            Ok(count.zip(since).map(|(count, since)| Window { count, since: UnixTime::from_seconds(since) }))
        };
        let throttles = Throttles {
            address: window()?,
            generations: window()?,
            name_locked_until: columns.next::<Option<i64>>("locked_until")?.map(UnixTime::from_seconds),
            known_place: columns.next("login_places")?,
        };
        let keys = read_keys(&mut columns)?;
        let found = match columns.next::<Option<bool>>("username")? {
            None => Found::Nobody,
            Some(false) => Found::OtherCase,
            Some(true) => Found::Account(Box::new(read_account(columns)?)),
        };
        Ok(Reading { found, throttles, keys })
    }

    fn find_session(&mut self, account: AccountId) -> Result<Option<SessionAccount>, StoreError> {
        let row = self.read_one(FIND_SESSION, &Own::new().number(account.0).0)?;
        let mut columns = Columns::of(&row, "users_v2");
        let Some(id) = columns.next("id")? else { return Ok(None) };
        Ok(Some(SessionAccount {
            id: AccountId(id),
            username: columns.next("username")?,
            epoch: columns.next("session_epoch")?,
            older_factor_born: UnixTime::from_seconds(columns.next("gendate")?),
        }))
    }

    fn create_account(&mut self, attempt: &Attempt<'_>, account: &NewAccount<'_>) -> Result<Saved, StoreError> {
        let own = Own::new()
            .text(&account.username.case_key())
            .sealed(Some(account.password))
            .text(account.standing.state.as_str())
            .text(account.standing.origin.as_str())
            .flag(account.standing.is_touched())
            .text(account.binding.as_str())
            .flag(account.legacy)
            .text(&attempt.subjects.place)
            .optional_text(account.past_password.binding().map(Binding::as_str))
            .text(attempt.needed_keys);
        self.save(CREATE_ACCOUNT, attempt, None, own)
    }

    fn replace_password(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        change: &NewPassword<'_>,
    ) -> Result<Saved, StoreError> {
        let own = Own::new()
            .grant(grant)
            .change(&change.change, change.password.key(), change.expiry)
            .text(change.password.token())
            .optional_text(change.password.binding().map(Binding::as_str))
            .optional_text(change.past_password.binding().map(Binding::as_str))
            .flag(grant.starts_over())
            .text(&attempt.subjects.place)
            .guard(grant, attempt);
        self.save(REPLACE_PASSWORD, attempt, Some(grant.account().id), own)
    }

    fn replace_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        change: &NewSecondFactor<'_>,
    ) -> Result<Saved, StoreError> {
        let seen = grant.account().second_factor.as_ref().map(|factor| factor.secret.token());
        let own = Own::new()
            .grant(grant)
            .change(&change.change, change.secret.key(), change.expiry)
            .text(change.secret.token())
            .optional_text(change.secret.binding().map(Binding::as_str))
            .optional_text(seen)
            .text(&attempt.subjects.place)
            .guard(grant, attempt);
        let statement = match change.takes_effect {
            TakesEffect::AtOnce => REPLACE_SECOND_FACTOR,
            TakesEffect::AtItsFirstCode => PUT_SECOND_FACTOR_BESIDE,
        };
        self.save(statement, attempt, Some(grant.account().id), own)
    }

    fn complete_login(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError> {
        let own = Own::new().login(login, LoginIs::InTime, attempt);
        self.save(CONCLUDE_LOGIN, attempt, Some(login.account().id), own)
    }

    fn mark_expired(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError> {
        let own = Own::new().login(login, LoginIs::TooLate, attempt);
        // Too late is no success, even when it is noted.
        let shared = shared_parameters(attempt, Some(login.account().id), Reason::Overtaken, Some(Reason::Expired));
        self.save_with(CONCLUDE_LOGIN, shared, own)
    }

    fn note_factor(&mut self, attempt: &Attempt<'_>, factor: &ProvenFactor<'_>) -> Result<Saved, StoreError> {
        let (account, seen) = (factor.account(), factor.account().counters);
        let own = Own::new()
            .optional_number(factor.step().map(TotpStep::number))
            .flag(factor.must_renew())
            .number(seen.password_generation)
            .number(seen.mfa_generation)
            .number(seen.security)
            .text(account.password.token())
            .optional_text(account.second_factor.as_ref().map(|factor| factor.secret.token()))
            .number(attempt.limits.otp_failures);
        self.save(NOTE_FACTOR, attempt, Some(account.id), own)
    }

    fn refuse(&mut self, attempt: &Attempt<'_>, refusal: &Refusal) -> Result<Saved, StoreError> {
        let own = Own::new()
            .number(i64::from(refusal.wrong_code))
            .optional_number(refusal.step.map(TotpStep::number))
            .number(attempt.limits.otp_failures);
        // A wrong code that is not counted was one too many.
        let if_not_done = if refusal.wrong_code { Reason::TooManyAttempts } else { refusal.reason };
        let shared = shared_parameters(attempt, refusal.account, if_not_done, Some(refusal.reason));
        match self.save_with(REFUSE, shared, own)? {
            Saved::Overtaken if refusal.wrong_code => Ok(Saved::Locked),
            saved => Ok(saved),
        }
    }

    fn refuse_locked(&mut self, attempt: &Attempt<'_>, account: Option<AccountId>) -> Result<(), StoreError> {
        let mut parameters = shared_parameters(attempt, account, Reason::TooManyAttempts, None);
        parameters.truncate(8);
        self.execute(REFUSE_LOCKED, &parameters)
    }

    fn renew_session(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved, StoreError> {
        self.save(RENEW_SESSION, attempt, Some(session.id), Own::new().number(session.epoch))
    }

    fn end_sessions(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved, StoreError> {
        self.save(END_SESSIONS, attempt, Some(session.id), Own::new().number(session.epoch))
    }

    fn administer(
        &mut self,
        attempt: &Attempt<'_>,
        account: &Account,
        standing: Standing,
        (binding, key): (&Binding, &KeyId),
    ) -> Result<Saved, StoreError> {
        let own = Own::new()
            .text(&attempt.subjects.name)
            .flag(standing.is_disabled())
            .text(key.as_str())
            .text(binding.as_str())
            .number(account.counters.security)
            .text(account.standing.state.as_str())
            .text(attempt.needed_keys);
        self.save(ADMINISTER, attempt, Some(account.id), own)
    }

    fn note_audit_read(&mut self, attempt: &Attempt<'_>) -> Result<Saved, StoreError> {
        self.save(NOTE_AUDIT_READ, attempt, None, Own::new())
    }

    fn read_audit(&mut self, filter: &AuditFilter<'_>) -> Result<Vec<AuditEntry>, StoreError> {
        let own = Own::new()
            .optional_text(filter.username)
            .optional_number(filter.account.map(|account| account.0))
            .optional_number(filter.before)
            .number(filter.limit);
        self.read(READ_AUDIT, &own.0)?.iter().filter_map(|row| read_entry(row).transpose()).collect()
    }

    fn find_stale(&mut self, first: &KeyId, after: &RotationCursor) -> Result<StaleBatch, StoreError> {
        let own = Own::new().text(first.as_str()).number(after.account).number(after.history).number(ROTATION_BATCH);
        let mut batch = StaleBatch { accounts: vec![], history: vec![], rows_left: 0, keys: StoredKeys::default() };
        for row in self.read(FIND_STALE, &own.0)? {
            let mut columns = Columns::of(&row, "users_v2");
            batch.rows_left = columns.next("count")?;
            batch.keys = read_keys(&mut columns)?;
            match columns.next::<Option<bool>>("is_account")? {
                Some(true) => batch.accounts.push(read_account(columns)?),
                Some(false) => batch.history.push(read_past_password(columns)?),
                None => {}
            }
        }
        Ok(batch)
    }

    fn move_secrets(
        &mut self,
        attempt: &Attempt<'_>,
        moved: &MovedSecrets,
        first: &KeyId,
    ) -> Result<Moved, StoreError> {
        let is_empty = moved.accounts.is_empty() && moved.history.is_empty();
        let mut parameters = shared_parameters(attempt, None, Reason::Overtaken, None);
        let (accounts, history) = parameters::moved_secrets(moved);
        parameters.extend(Own::new().text(&accounts).text(&history).text(first.as_str()).flag(is_empty).0);
        let row = self.write(MOVE_SECRETS, &parameters)?;
        let mut columns = Columns::of(&row, "throttles");
        let passed = columns.next("gate")?;
        let count = columns.next("count")?;
        Ok(if passed { Moved::Rows(count) } else { Moved::Locked })
    }

    fn read_health(&mut self) -> Result<HealthReading, StoreError> {
        let row = self.read_one(READ_HEALTH, &[])?;
        let mut columns = Columns::of(&row, "refinery_schema_history");
        let schema = columns.next::<Option<i64>>("version")?.unwrap_or(0);
        Ok(HealthReading { schema, keys: read_keys(&mut columns)? })
    }
}

/// Whether a login that was right came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginIs {
    InTime,
    TooLate,
}
