//! Rows of `users_v2` and `password_history_v2`, and what is read with them.

use super::read_identity;
use cofrap_accounts::{
    Access, Account, AccountId, AccountLookup, AccountSnapshot, AccountStatus, AdminIntervention, Counters, Expiry,
    Origin, PastPassword, PendingSecondFactor, PreviousPassword, RateLimitCounts, RateLimitKeys, SecondFactor,
    SessionAccount, StaleBatch, State, StoreError, StoredKeys, UnixTime, Window,
};
use cofrap_crypto::{KeyId, RowMac, Sealed, SessionId, TotpStep};
use serde::Deserialize;

/// What `find.sql` answers.
#[derive(Deserialize)]
pub(in crate::pg_store) struct SnapshotRow {
    account: Option<AccountRow>,
    row_version: Option<String>,
    #[serde(default)]
    is_confusable: bool,
    /// None in a database that was restored and not treated.
    database_identity: Option<String>,
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

impl SnapshotRow {
    pub(in crate::pg_store) fn read(self, rate_limit_keys: &RateLimitKeys) -> Result<AccountSnapshot, StoreError> {
        let database_identity = self.database_identity.ok_or(StoreError::Restored)?;
        let known_address = self
            .account
            .as_ref()
            .is_some_and(|row| row.login_places.iter().flatten().any(|place| rate_limit_keys.is_known_digest(place)));
        let count = |subject: &str, place: &str| {
            self.counts.iter().find(|count| count.subject == subject && count.place == place)
        };
        let window = |subject| {
            let seen = |row: &CountRow| Window { count: row.failures, since: UnixTime::from_seconds(row.since) };
            count(subject, "").map(seen)
        };
        let name_place = if known_address { &*rate_limit_keys.address_digest } else { "" };
        let of_name = count(&rate_limit_keys.name, name_place);
        let counts = RateLimitCounts {
            address: window(&rate_limit_keys.address),
            issuances: window(&rate_limit_keys.issuances),
            name_locked_until: of_name.map(|row| UnixTime::from_seconds(row.locked_until)),
            name_has_failures: of_name.is_some_and(|row| row.failures > 0),
            known_address,
        };
        let lookup = match self.account {
            Some(row) => {
                let account = account(row, &database_identity)?;
                AccountLookup::Account(Box::new(Account { row_version: self.row_version, ..account }))
            }
            None if self.is_confusable => AccountLookup::ConfusableName,
            None => AccountLookup::NotFound,
        };
        let keys = StoredKeys { registered: self.registered_keys, samples: self.foreign_tokens };
        Ok(AccountSnapshot { lookup, counts, keys })
    }
}

/// What `find_session.sql` answers.
#[derive(Deserialize)]
pub(in crate::pg_store) struct SessionRow {
    id: i64,
    username: String,
    session_epoch: i64,
    older_factor_issued_at: i64,
    pending_mfa_issued_at: Option<i64>,
}

impl SessionRow {
    pub(in crate::pg_store) fn read(self, session: SessionId) -> SessionAccount {
        SessionAccount {
            id: AccountId(self.id),
            username: self.username,
            epoch: self.session_epoch,
            session,
            older_factor_issued_at: UnixTime::from_seconds(self.older_factor_issued_at),
            pending_issued_at: self.pending_mfa_issued_at.map(UnixTime::from_seconds),
        }
    }
}

/// What `find_stale.sql` answers.
#[derive(Deserialize)]
pub(in crate::pg_store) struct StaleRow {
    accounts: Vec<AccountRow>,
    history: Vec<PastPasswordRow>,
    rows_left: i64,
    registered_keys: Option<String>,
    foreign_tokens: Option<String>,
}

impl StaleRow {
    pub(in crate::pg_store) fn read(self) -> Result<StaleBatch, StoreError> {
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
    login_places: Vec<Option<String>>,
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

fn account(row: AccountRow, database_identity: &str) -> Result<Account, StoreError> {
    let corrupt = |column, problem| StoreError::CorruptRow { table: "users_v2", id: row.id, column, problem };
    let state = match row.state.as_str() {
        "provisional" => State::Provisional,
        "active" => State::Active,
        _ => return Err(corrupt("state", "unknown state")),
    };
    let origin = match row.origin.as_str() {
        "generation" => Origin::SelfRegistered,
        "creation" => Origin::ChosenPassword,
        "external" => Origin::External,
        _ => return Err(corrupt("origin", "unknown origin")),
    };
    let admin_intervention = if row.operator_touched { AdminIntervention::Happened } else { AdminIntervention::Never };
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
        row_version: None,
        status: AccountStatus { state, origin, admin_intervention, access },
        status_mac: row.standing_binding.map(RowMac::from_stored),
        password: sealed(row.password, row.password_key, row.password_binding),
        password_issued_at: UnixTime::from_seconds(row.gendate),
        previous,
        second_factor: mfa
            .map(|secret| SecondFactor { secret, issued_at: row.mfa_gendate.map(UnixTime::from_seconds) }),
        pending: pending
            .map(|(secret, issued_at)| PendingSecondFactor { secret, issued_at: UnixTime::from_seconds(issued_at) }),
        enrolment_ends: row.enrolment_ends.map(UnixTime::from_seconds),
        expiry: if row.expired == Some(true) {
            Expiry::Marked { since: row.expired_since.map(UnixTime::from_seconds) }
        } else {
            Expiry::Unmarked
        },
        counters: Counters {
            password_version: row.password_generation,
            mfa_version: row.mfa_generation,
            login: row.login_counter,
            security: row.security_counter,
            session_epoch: row.session_epoch,
            identity: row.identity.and_then(|identity| read_identity(&(identity + database_identity))),
        },
        last_step: row.mfa_last_step.map(TotpStep::new),
        otp_failures: row.otp_failures,
        last_issuance: row.generated_at.map(UnixTime::from_seconds).zip(row.generated_from),
    })
}

fn past_password(row: PastPasswordRow) -> PastPassword {
    let password = sealed(row.password, row.password_key, row.password_binding);
    PastPassword { id: row.id, owner: row.owner, password }
}

/// What `stored_keys.sql` returns, in the answers of others.
pub(in crate::pg_store) fn stored_keys(registered: Option<String>, samples: Option<String>) -> StoredKeys {
    StoredKeys { registered: list(registered), samples: list(samples) }
}

/// The parts of a text with commas between them.
pub(in crate::pg_store) fn list(joined: Option<String>) -> Vec<String> {
    joined.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

fn sealed(token: String, key: Option<String>, mac: Option<String>) -> Sealed {
    Sealed::from_stored(token, key.map(KeyId::from_stored), mac.map(RowMac::from_stored))
}
