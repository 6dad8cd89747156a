//! The accounts in PostgreSQL: all the SQL of the functions.
//!
//! A request runs at most two of these statements: [`FIND`], then one that writes. Every one that writes starts with its
//! deed, whose conditions stand on the row that they guard, and ends with the deed's audit row; it returns a row when
//! the deed was done. Times are parameters: the functions' clock counts, never the database's.

use cofrap_accounts::{
    Account, AccountId, Attempt, Expiry, Found, Generations, Grant, Origin, ProvenLogin, Reason, Saved, SecondFactor,
    State, Store, StoreError, UnixTime, Username,
};
use cofrap_crypto::{Sealed, TotpStep};
use spin_sdk::pg4::{Connection, DbValue, ParameterValue, PgError, QueryError, RowSet};

/// The parameters that every writing statement shares, see [`shared_parameters`]: `$1` action, `$2` name, `$3` address,
/// `$4` agent, `$5` now, `$6` account (none for a new one; it may be gone by now), `$7` reason if the deed is not done.
macro_rules! with_audit {
    ($($parts:literal),+) => {
        concat!(
            "WITH ", $($parts, ", "),+,
            "audit AS (
                 INSERT INTO auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
                 SELECT coalesce((SELECT id FROM deed), (SELECT id FROM users_v2 WHERE id = $6::bigint)), $1, $3::text::inet,
                        $4, EXISTS (SELECT FROM deed),
                        jsonb_strip_nulls(jsonb_build_object(
                            'username', $2::text,
                            'reason', CASE WHEN NOT EXISTS (SELECT FROM deed) THEN $7::text END)),
                        to_timestamp($5::bigint) AT TIME ZONE 'UTC'
             )
             SELECT id::bigint FROM deed"
        )
    };
}

const FIND: &str = "
    SELECT username = $1, id::bigint, state, origin, password, gendate::bigint, nullif(mfa, ''), mfa_gendate,
           coalesce(expired, FALSE), password_generation, mfa_generation, mfa_last_step
    FROM users_v2 WHERE username = $1 OR username_key = $2
    ORDER BY username = $1 DESC LIMIT 1";

const CREATE_ACCOUNT: &str = with_audit!(
    "deed AS (
         INSERT INTO users_v2 (username, username_key, password, gendate, expired, state, origin, password_generation,
                               created_at, updated_at)
         VALUES ($2, $8, $9, $5::bigint, FALSE, 'provisional', 'generation', 1,
                 to_timestamp($5::bigint) AT TIME ZONE 'UTC', to_timestamp($5::bigint) AT TIME ZONE 'UTC')
         ON CONFLICT DO NOTHING
         RETURNING id
     )",
    "history AS (
         INSERT INTO password_history_v2 (user_id, password, gendate, expired, created_at)
         SELECT id, $9, $5::bigint, FALSE, to_timestamp($5::bigint) AT TIME ZONE 'UTC' FROM deed
     )"
);

const START_OVER: &str = with_audit!(
    "deed AS (
         UPDATE users_v2
         SET password = $8, gendate = $5::bigint, mfa = NULL, mfa_gendate = NULL, expired = FALSE,
             password_generation = password_generation + 1, mfa_generation = mfa_generation + 1,
             updated_at = to_timestamp($5::bigint) AT TIME ZONE 'UTC'
         WHERE id = $6::bigint AND password_generation = $9 AND mfa_generation = $10 AND state = 'provisional'
         RETURNING id
     )",
    "retired AS (
         UPDATE password_history_v2 SET expired = TRUE
         WHERE user_id = (SELECT id FROM deed) AND expired IS NOT TRUE
     )",
    "history AS (
         INSERT INTO password_history_v2 (user_id, password, gendate, expired, created_at)
         SELECT id, $8, $5::bigint, FALSE, to_timestamp($5::bigint) AT TIME ZONE 'UTC' FROM deed
     )"
);

const ENROLL: &str = with_audit!(
    "deed AS (
         UPDATE users_v2
         SET mfa = $8, mfa_gendate = $5::bigint, mfa_generation = mfa_generation + 1,
             updated_at = to_timestamp($5::bigint) AT TIME ZONE 'UTC'
         WHERE id = $6::bigint AND password_generation = $9 AND mfa_generation = $10 AND state = 'provisional'
               AND nullif(mfa, '') IS NULL
         RETURNING id
     )"
);

const COMPLETE_LOGIN: &str = with_audit!(
    "deed AS (
         UPDATE users_v2
         SET state = 'active', mfa_last_step = $8, updated_at = to_timestamp($5::bigint) AT TIME ZONE 'UTC'
         WHERE id = $6::bigint AND password_generation = $9 AND mfa_generation = $10 AND expired IS NOT TRUE
               AND (mfa_last_step IS NULL OR mfa_last_step < $8)
         RETURNING id
     )"
);

/// A login that is too late is no success: its audit row says so, and why.
const MARK_EXPIRED: &str = "
    WITH deed AS (
        UPDATE users_v2
        SET expired = TRUE, mfa_last_step = $8, updated_at = to_timestamp($5::bigint) AT TIME ZONE 'UTC'
        WHERE id = $6::bigint AND password_generation = $9 AND mfa_generation = $10
              AND (mfa_last_step IS NULL OR mfa_last_step < $8)
        RETURNING id
    ), retired AS (
        UPDATE password_history_v2 SET expired = TRUE
        WHERE user_id = (SELECT id FROM deed) AND expired IS NOT TRUE
    ), audit AS (
        INSERT INTO auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
        SELECT (SELECT id FROM users_v2 WHERE id = $6::bigint), $1, $3::text::inet, $4, FALSE,
               jsonb_build_object('username', $2::text,
                                  'reason', CASE WHEN EXISTS (SELECT FROM deed) THEN 'expired' ELSE $7::text END),
               to_timestamp($5::bigint) AT TIME ZONE 'UTC'
    )
    SELECT id::bigint FROM deed";

const REFUSE: &str = "
    INSERT INTO auth_logs_v2 (user_id, action, ip_address, user_agent, success, details, created_at)
    VALUES ((SELECT id FROM users_v2 WHERE id = $6::bigint), $1, $3::text::inet, $4, FALSE,
            jsonb_build_object('username', $2::text, 'reason', $7::text), to_timestamp($5::bigint) AT TIME ZONE 'UTC')";

/// Every statement with its name, for the test that prepares each one on the migrated schema.
pub const STATEMENTS: [(&str, &str); 7] = [
    ("find", FIND),
    ("create_account", CREATE_ACCOUNT),
    ("start_over", START_OVER),
    ("enroll", ENROLL),
    ("complete_login", COMPLETE_LOGIN),
    ("mark_expired", MARK_EXPIRED),
    ("refuse", REFUSE),
];

/// A connection to the database. Each statement is a transaction of its own.
pub struct PgStore {
    connection: Connection,
}

impl PgStore {
    /// Takes a connection of the platform's pool for the address.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        Connection::open(address).map(|connection| Self { connection }).map_err(|error| unavailable(&error))
    }

    fn query(&self, statement: &str, parameters: &[ParameterValue]) -> Result<RowSet, StoreError> {
        self.connection.query(statement, parameters).map_err(|error| unavailable(&error))
    }

    /// Runs a writing statement with the shared parameters and, from `$8` on, its own.
    fn save(
        &self,
        statement: &str,
        attempt: &Attempt<'_>,
        account: Option<AccountId>,
        own: impl IntoIterator<Item = ParameterValue>,
    ) -> Result<Saved, StoreError> {
        let mut parameters = shared_parameters(attempt, account, Reason::Overtaken);
        parameters.extend(own);
        let done = !self.query(statement, &parameters)?.rows.is_empty();
        Ok(if done { Saved::Yes } else { Saved::Overtaken })
    }
}

impl Store for PgStore {
    fn find(&mut self, username: &Username) -> Result<Found, StoreError> {
        let rows = self.query(FIND, &[text(username.as_str()), username.case_key().into()])?.rows;
        rows.first().map_or(Ok(Found::Nobody), |row| read_account(row))
    }

    fn create_account(&mut self, attempt: &Attempt<'_>, password: &Sealed) -> Result<Saved, StoreError> {
        self.save(CREATE_ACCOUNT, attempt, None, [attempt.username.case_key().into(), text(password.as_str())])
    }

    fn start_over(&mut self, attempt: &Attempt<'_>, grant: &Grant<'_>, password: &Sealed) -> Result<Saved, StoreError> {
        let own = with_generations(text(password.as_str()), grant.generations());
        self.save(START_OVER, attempt, Some(grant.account()), own)
    }

    fn enroll(&mut self, attempt: &Attempt<'_>, grant: &Grant<'_>, secret: &Sealed) -> Result<Saved, StoreError> {
        let own = with_generations(text(secret.as_str()), grant.generations());
        self.save(ENROLL, attempt, Some(grant.account()), own)
    }

    fn complete_login(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError> {
        let own = with_generations(login.step().number().into(), login.generations());
        self.save(COMPLETE_LOGIN, attempt, Some(login.account()), own)
    }

    fn mark_expired(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError> {
        let own = with_generations(login.step().number().into(), login.generations());
        self.save(MARK_EXPIRED, attempt, Some(login.account()), own)
    }

    fn refuse(&mut self, attempt: &Attempt<'_>, account: Option<AccountId>, reason: Reason) -> Result<(), StoreError> {
        self.query(REFUSE, &shared_parameters(attempt, account, reason)).map(|_| ())
    }
}

fn shared_parameters(attempt: &Attempt<'_>, account: Option<AccountId>, reason: Reason) -> Vec<ParameterValue> {
    vec![
        text(attempt.action.as_str()),
        text(attempt.username.as_str()),
        attempt.caller.address.map(|address| address.to_string()).into(),
        attempt.caller.user_agent.as_ref().map(|agent| agent.as_str().to_owned()).into(),
        attempt.at.seconds().into(),
        account.map(|account| account.0).into(),
        text(reason.as_str()),
    ]
}

fn with_generations(value: ParameterValue, seen: Generations) -> [ParameterValue; 3] {
    [value, seen.password.into(), seen.second_factor.into()]
}

fn text(value: &str) -> ParameterValue {
    value.to_owned().into()
}

/// What the log may say of a database error: its class and its message, not the row that caused it.
fn unavailable(error: &PgError) -> StoreError {
    StoreError::Unavailable(match error {
        PgError::ConnectionFailed(cause) => format!("connection failed: {cause}"),
        PgError::QueryFailed(QueryError::DbError(cause)) => format!("{} {}", cause.code, cause.message),
        PgError::QueryFailed(QueryError::Text(cause)) => format!("query failed: {cause}"),
        PgError::BadParameter(cause) | PgError::ValueConversionFailed(cause) | PgError::Other(cause) => cause.clone(),
    })
}

/// One row of [`FIND`].
fn read_account(row: &[DbValue]) -> Result<Found, StoreError> {
    let mut columns = Columns { row, id: 0, position: 0 };
    if !columns.next::<bool>("username")? {
        return Ok(Found::OtherCase);
    }
    let id = columns.next("id")?;
    columns.id = id;
    let state = match columns.next::<String>("state")?.as_str() {
        "provisional" => State::Provisional,
        "active" => State::Active,
        _ => return Err(columns.corrupt("state", "unknown state")),
    };
    let origin = match columns.next::<String>("origin")?.as_str() {
        "generation" => Origin::Generation,
        "external" => Origin::External,
        _ => return Err(columns.corrupt("origin", "unknown origin")),
    };
    let password = Sealed::from_stored(columns.next("password")?);
    let password_born = UnixTime::from_seconds(columns.next("gendate")?);
    let secret = columns.next::<Option<String>>("mfa")?;
    let second_factor_born = columns.next::<Option<i64>>("mfa_gendate")?.map(UnixTime::from_seconds);
    let expiry = if columns.next("expired")? { Expiry::Marked } else { Expiry::Unmarked };
    let generations =
        Generations { password: columns.next("password_generation")?, second_factor: columns.next("mfa_generation")? };
    let last_step = columns.next::<Option<i64>>("mfa_last_step")?.map(TotpStep::new);
    let second_factor =
        secret.map(|secret| SecondFactor { secret: Sealed::from_stored(secret), born: second_factor_born });
    let id = AccountId(id);
    Ok(Found::Account(Account {
        id,
        state,
        origin,
        password,
        password_born,
        second_factor,
        expiry,
        generations,
        last_step,
    }))
}

/// The columns of a row of `users_v2`, one after the other; what cannot be read is located.
struct Columns<'a> {
    row: &'a [DbValue],
    id: i64,
    position: usize,
}

impl Columns<'_> {
    fn next<T: Column>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let value = self.row.get(self.position).and_then(T::of);
        self.position += 1;
        value.ok_or_else(|| self.corrupt(column, "unexpected type"))
    }

    fn corrupt(&self, column: &'static str, problem: &'static str) -> StoreError {
        StoreError::CorruptRow { table: "users_v2", id: self.id, column, problem }
    }
}

/// What a column may hold. The SDK's `Decode` does the same with error texts that weigh 20 kB and would show the value.
trait Column: Sized {
    fn of(value: &DbValue) -> Option<Self>;
}

impl Column for bool {
    fn of(value: &DbValue) -> Option<Self> {
        if let DbValue::Boolean(value) = value { Some(*value) } else { None }
    }
}

impl Column for i64 {
    fn of(value: &DbValue) -> Option<Self> {
        if let DbValue::Int64(value) = value { Some(*value) } else { None }
    }
}

impl Column for String {
    fn of(value: &DbValue) -> Option<Self> {
        if let DbValue::Str(value) = value { Some(value.clone()) } else { None }
    }
}

impl<T: Column> Column for Option<T> {
    fn of(value: &DbValue) -> Option<Self> {
        if matches!(value, DbValue::DbNull) { Some(None) } else { T::of(value).map(Some) }
    }
}
