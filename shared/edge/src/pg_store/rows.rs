//! What the database's functions answer: JSON, one text. What cannot be read is located, and never shown.

use cofrap_accounts::{
    Access, Account, AccountGauges, AccountId, AttemptCount, AuditEntry, Counters, Expiry, Found, HealthReading,
    MaintenanceBatch, Metrics, NamedEntry, OpenSession, Operator, Origin, Partitions, PastPassword,
    PendingSecondFactor, PreviousPassword, Reading, Saved, SecondFactor, SequenceUse, SessionAccount, StaleBatch,
    Standing, State, StoreError, StoredKeys, Subjects, Throttles, UnixTime, Window,
};
use cofrap_crypto::{Binding, Identity, KeyId, Sealed, SessionId, TotpStep};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a writing function came to.
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

/// What a reading function answers the operator.
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

/// An account's counters after a deed.
#[derive(Deserialize)]
pub(super) struct CountersRow {
    password_generation: i64,
    mfa_generation: i64,
    login_counter: i64,
    security_counter: i64,
    session_epoch: i64,
    /// The account's and the database's, one after the other; where it may be new.
    #[serde(default)]
    identity: Option<String>,
}

impl CountersRow {
    pub(super) fn read(self) -> Counters {
        Counters {
            password_generation: self.password_generation,
            mfa_generation: self.mfa_generation,
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

/// What `find.sql` answers.
#[derive(Deserialize)]
pub(super) struct ReadingRow {
    account: Option<AccountRow>,
    #[serde(default)]
    is_other_spelling: bool,
    /// None in a database that was restored and not treated.
    database_identity: Option<String>,
    is_known_place: Option<bool>,
    counts: Vec<CountRow>,
    registered_keys: Vec<String>,
    foreign_tokens: Vec<String>,
}

/// What was counted of an address or a name.
#[derive(Deserialize)]
struct CountRow {
    subject: String,
    place: String,
    failures: i64,
    since: i64,
    locked_until: i64,
}

impl ReadingRow {
    pub(super) fn read(self, subjects: &Subjects) -> Result<Reading, StoreError> {
        let database_identity = self.database_identity.ok_or(StoreError::Restored)?;
        let known_place = self.is_known_place == Some(true);
        let count = |subject: &str, place: &str| {
            self.counts.iter().find(|count| count.subject == subject && count.place == place)
        };
        let window = |subject| {
            let seen = |row: &CountRow| Window { count: row.failures, since: UnixTime::from_seconds(row.since) };
            count(subject, "").map(seen)
        };
        let name_place = if known_place { &*subjects.place } else { "" };
        let throttles = Throttles {
            address: window(&subjects.address),
            generations: window(&subjects.generations),
            name_locked_until: count(&subjects.name, name_place).map(|row| UnixTime::from_seconds(row.locked_until)),
            known_place,
        };
        let found = match self.account {
            Some(row) => Found::Account(Box::new(account(row, &database_identity)?)),
            None if self.is_other_spelling => Found::OtherSpelling,
            None => Found::Nobody,
        };
        let keys = StoredKeys { registered: self.registered_keys, samples: self.foreign_tokens };
        Ok(Reading { found, throttles, keys, alias: None })
    }
}

/// What `find_session.sql` answers.
#[derive(Deserialize)]
pub(super) struct SessionRow {
    id: i64,
    username: String,
    session_epoch: i64,
    older_factor_born: i64,
    pending_mfa_born: Option<i64>,
}

impl SessionRow {
    pub(super) fn read(self, session: SessionId) -> SessionAccount {
        SessionAccount {
            id: AccountId(self.id),
            username: self.username,
            epoch: self.session_epoch,
            session,
            older_factor_born: UnixTime::from_seconds(self.older_factor_born),
            pending_born: self.pending_mfa_born.map(UnixTime::from_seconds),
        }
    }
}

/// An element of what `read_sessions.sql` answers.
#[derive(Deserialize)]
pub(super) struct OpenSessionRow {
    id: String,
    at: i64,
    address: Option<String>,
    user_agent: Option<String>,
}

impl OpenSessionRow {
    pub(super) fn read(self) -> Option<OpenSession> {
        Some(OpenSession {
            session: u128::from_str_radix(&self.id, 16).ok()?.to_be_bytes(),
            at: UnixTime::from_seconds(self.at),
            address: self.address,
            user_agent: self.user_agent,
        })
    }
}

/// What `stored_keys.sql` returns, in the answers of others.
fn stored_keys(registered: Option<String>, samples: Option<String>) -> StoredKeys {
    StoredKeys { registered: list(registered), samples: list(samples) }
}

/// What `read_health.sql` answers.
#[derive(Deserialize)]
pub(super) struct HealthRow {
    registered_keys: Option<String>,
    foreign_tokens: Option<String>,
    weak_sequences: Option<String>,
    takes_writes: bool,
    is_here: bool,
}

impl HealthRow {
    pub(super) fn read(self, schemas: Vec<String>) -> Result<HealthReading, StoreError> {
        if !self.is_here {
            return Err(StoreError::Restored);
        }
        let keys = stored_keys(self.registered_keys, self.foreign_tokens);
        let (weak_sequences, takes_writes) = (list(self.weak_sequences), self.takes_writes);
        Ok(HealthReading { schemas, keys: Some(keys), weak_sequences, takes_writes })
    }
}

/// The parts of a text with commas between them.
fn list(joined: Option<String>) -> Vec<String> {
    joined.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

/// What `find_stale.sql` answers.
#[derive(Deserialize)]
pub(super) struct StaleRow {
    accounts: Vec<AccountRow>,
    history: Vec<PastPasswordRow>,
    rows_left: i64,
    registered_keys: Option<String>,
    foreign_tokens: Option<String>,
}

impl StaleRow {
    pub(super) fn read(self) -> Result<StaleBatch, StoreError> {
        Ok(StaleBatch {
            accounts: self.accounts.into_iter().map(|row| account(row, "")).collect::<Result<_, _>>()?,
            history: self.history.into_iter().map(past_password).collect(),
            rows_left: self.rows_left,
            keys: stored_keys(self.registered_keys, self.foreign_tokens),
        })
    }
}

/// An account: the row of `users_v2`, whatever other columns that has.
#[derive(Deserialize)]
struct AccountRow {
    id: i64,
    username: String,
    state: String,
    origin: String,
    operator_touched: bool,
    disabled_at: Option<i64>,
    standing_binding: Option<String>,
    password: String,
    password_key: Option<String>,
    password_binding: Option<String>,
    gendate: i64,
    previous_password: Option<String>,
    previous_password_key: Option<String>,
    previous_password_binding: Option<String>,
    previous_password_ends: Option<i64>,
    mfa: Option<String>,
    mfa_key: Option<String>,
    mfa_binding: Option<String>,
    mfa_gendate: Option<i64>,
    pending_mfa: Option<String>,
    pending_mfa_key: Option<String>,
    pending_mfa_binding: Option<String>,
    pending_mfa_gendate: Option<i64>,
    enrolment_ends: Option<i64>,
    expired: Option<bool>,
    expired_since: Option<i64>,
    password_generation: i64,
    mfa_generation: i64,
    login_counter: i64,
    security_counter: i64,
    session_epoch: i64,
    identity: Option<String>,
    mfa_last_step: Option<i64>,
    otp_failures: i64,
    generated_at: Option<i64>,
    generated_from: Option<String>,
}

/// A row of the history as `find_stale.sql` writes it.
#[derive(Deserialize)]
struct PastPasswordRow {
    id: i64,
    owner: String,
    password: String,
    password_key: Option<String>,
    password_binding: Option<String>,
}

/// A row of the audit as `entry_as_json.sql` writes it.
#[derive(Deserialize)]
pub(super) struct EntryRow {
    id: i64,
    at: i64,
    action: String,
    username: Option<String>,
    user_id: Option<i64>,
    address: Option<String>,
    user_agent: Option<String>,
    success: bool,
    reason: Option<String>,
    proof: Option<String>,
    route: Option<String>,
    attempts: Option<i64>,
    names: Option<Vec<String>>,
    more_names: Option<i64>,
}

/// What `maintain.sql` has done.
#[derive(Deserialize)]
pub(super) struct MaintenanceRow {
    locked_minutes: i64,
    counted: i64,
    refusals: i64,
    actions: i64,
    counters: i64,
    sessions: i64,
    clocks_differ: bool,
    more: bool,
}

/// What `keep_partitions.sql` has done.
#[derive(Deserialize)]
pub(super) struct PartitionsRow {
    made: Vec<String>,
    dropped: Vec<String>,
    busy: Vec<String>,
}

/// A row of the audit with names, as `find_names.sql` writes it and `mask_names.sql` reads it.
#[derive(Deserialize, Serialize)]
pub(super) struct NamesRow {
    pub(super) id: i64,
    pub(super) username: Option<String>,
    #[serde(default, skip_serializing)]
    pub(super) known: bool,
    pub(super) names: Option<BTreeMap<String, bool>>,
}

/// What `read_metrics.sql` answers.
#[derive(Deserialize)]
pub(super) struct MetricsRow {
    attempts: Vec<AttemptsRow>,
    sequences: Vec<SequenceRow>,
    audit_rows: i64,
    audit_bytes: i64,
    database_bytes: i64,
    uncounted_transactions: i64,
    clock_offset: f64,
    connections: i64,
    connections_limit: i64,
    gauges: Option<BTreeMap<String, BTreeMap<String, i64>>>,
    gauges_at: Option<i64>,
}

#[derive(Deserialize)]
struct AttemptsRow {
    action: String,
    route: String,
    success: bool,
    reason: String,
    locks: String,
    total: u64,
}

#[derive(Deserialize)]
struct SequenceRow {
    table: String,
    last: i64,
    largest: i64,
}

fn account(row: AccountRow, database_identity: &str) -> Result<Account, StoreError> {
    let corrupt = |column, problem| StoreError::CorruptRow { table: "users_v2", id: row.id, column, problem };
    let state = match row.state.as_str() {
        "provisional" => State::Provisional,
        "active" => State::Active,
        _ => return Err(corrupt("state", "unknown state")),
    };
    let origin = match row.origin.as_str() {
        "generation" => Origin::Generation,
        "creation" => Origin::Creation,
        "external" => Origin::External,
        _ => return Err(corrupt("origin", "unknown origin")),
    };
    let operator = if row.operator_touched { Operator::Touched } else { Operator::Untouched };
    let access = if row.disabled_at.is_some() { Access::Disabled } else { Access::Enabled };
    let mfa = row.mfa.filter(|token| !token.is_empty()).map(|token| sealed(token, row.mfa_key, row.mfa_binding));
    let pending = row.pending_mfa.map(|token| sealed(token, row.pending_mfa_key, row.pending_mfa_binding));
    let previous = row
        .previous_password
        .map(|token| sealed(token, row.previous_password_key, row.previous_password_binding))
        .zip(row.previous_password_ends)
        .map(|(secret, ends)| PreviousPassword { secret, ends: UnixTime::from_seconds(ends) });
    let pending = pending.zip(row.pending_mfa_gendate);
    Ok(Account {
        id: AccountId(row.id),
        username: row.username,
        standing: Standing { state, origin, operator, access },
        standing_binding: row.standing_binding.map(Binding::from_stored),
        password: sealed(row.password, row.password_key, row.password_binding),
        password_born: UnixTime::from_seconds(row.gendate),
        previous,
        second_factor: mfa.map(|secret| SecondFactor { secret, born: row.mfa_gendate.map(UnixTime::from_seconds) }),
        pending: pending.map(|(secret, born)| PendingSecondFactor { secret, born: UnixTime::from_seconds(born) }),
        enrolment_ends: row.enrolment_ends.map(UnixTime::from_seconds),
        expiry: if row.expired == Some(true) {
            Expiry::Marked { since: row.expired_since.map(UnixTime::from_seconds) }
        } else {
            Expiry::Unmarked
        },
        counters: Counters {
            password_generation: row.password_generation,
            mfa_generation: row.mfa_generation,
            login: row.login_counter,
            security: row.security_counter,
            session_epoch: row.session_epoch,
            identity: row.identity.and_then(|identity| read_identity(&(identity + database_identity))),
        },
        last_step: row.mfa_last_step.map(TotpStep::new),
        otp_failures: row.otp_failures,
        generated: row.generated_at.map(UnixTime::from_seconds).zip(row.generated_from),
    })
}

fn past_password(row: PastPasswordRow) -> PastPassword {
    let password = sealed(row.password, row.password_key, row.password_binding);
    PastPassword { id: row.id, owner: row.owner, password }
}

impl EntryRow {
    pub(super) fn read(self) -> AuditEntry {
        AuditEntry {
            id: self.id,
            at: UnixTime::from_seconds(self.at),
            action: self.action,
            username: self.username,
            user_id: self.user_id,
            address: self.address,
            user_agent: self.user_agent,
            success: self.success,
            reason: self.reason,
            proof: self.proof,
            route: self.route,
            attempts: self.attempts,
            names: self.names,
            more_names: self.more_names,
        }
    }
}

impl MaintenanceRow {
    pub(super) fn read(self) -> MaintenanceBatch {
        MaintenanceBatch {
            locked_minutes: self.locked_minutes,
            counted: self.counted,
            refusals: self.refusals,
            actions: self.actions,
            counters: self.counters,
            sessions: self.sessions,
            clocks_differ: self.clocks_differ,
            has_more: self.more,
        }
    }
}

impl PartitionsRow {
    pub(super) fn read(self) -> Partitions {
        Partitions { made: self.made, dropped: self.dropped, busy: self.busy }
    }
}

impl NamesRow {
    pub(super) fn read(self) -> NamedEntry {
        NamedEntry {
            id: self.id,
            username: self.username,
            is_known: self.known,
            names: self.names.map(|names| names.into_iter().collect()),
        }
    }
}

impl MetricsRow {
    pub(super) fn read(self) -> Metrics {
        let attempts = self.attempts.into_iter().map(|row| AttemptCount {
            action: row.action,
            route: row.route,
            success: row.success,
            reason: row.reason,
            // Other programs may have written anything.
            locks: serde_json::from_str(&row.locks).unwrap_or_default(),
            total: row.total,
        });
        let sequences = self.sequences.into_iter().map(|row| SequenceUse {
            table: row.table,
            last: row.last,
            largest: row.largest,
        });
        Metrics {
            attempts: attempts.collect(),
            sequences: sequences.collect(),
            audit_rows: self.audit_rows,
            audit_bytes: self.audit_bytes,
            database_bytes: self.database_bytes,
            uncounted_transactions: self.uncounted_transactions,
            clock_offset: self.clock_offset,
            connections: self.connections,
            connections_limit: self.connections_limit,
            accounts: self
                .gauges
                .zip(self.gauges_at)
                .map(|(groups, at)| AccountGauges { at: UnixTime::from_seconds(at), groups }),
        }
    }
}

fn sealed(token: String, key: Option<String>, binding: Option<String>) -> Sealed {
    Sealed::from_stored(token, key.map(KeyId::from_stored), binding.map(Binding::from_stored))
}
