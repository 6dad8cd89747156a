//! What the statements return: columns one after the other; what cannot be read is located.

use cofrap_accounts::{
    Access, Account, AccountId, AuditEntry, Counters, Expiry, Operator, Origin, PastPassword, PendingSecondFactor,
    Saved, SecondFactor, Standing, State, StoreError, StoredKeys, UnixTime,
};
use cofrap_crypto::{Binding, KeyId, Sealed, TotpStep};
use spin_sdk::pg4::DbValue;

/// The columns of a row.
pub(super) struct Columns<'a> {
    row: &'a [DbValue],
    table: &'static str,
    id: i64,
    position: usize,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(row: &'a [DbValue], table: &'static str) -> Self {
        Self { row, table, id: 0, position: 0 }
    }

    pub(super) fn next<T: Column>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let value = self.row.get(self.position).and_then(T::of);
        self.position += 1;
        value.ok_or_else(|| self.corrupt(column, "unexpected type"))
    }

    fn optional_time(&mut self, column: &'static str) -> Result<Option<UnixTime>, StoreError> {
        Ok(self.next::<Option<i64>>(column)?.map(UnixTime::from_seconds))
    }

    fn binding(&mut self, column: &'static str) -> Result<Option<Binding>, StoreError> {
        Ok(self.next::<Option<String>>(column)?.map(Binding::from_stored))
    }

    /// Token, key, binding.
    fn sealed(&mut self, column: &'static str) -> Result<Option<Sealed>, StoreError> {
        let token = self.next::<Option<String>>(column)?;
        let key = self.next::<Option<String>>(column)?.map(KeyId::from_stored);
        let binding = self.binding(column)?;
        Ok(token.map(|token| Sealed::from_stored(token, key, binding)))
    }

    fn counters(&mut self) -> Result<Counters, StoreError> {
        Ok(Counters {
            password_generation: self.next("password_generation")?,
            mfa_generation: self.next("mfa_generation")?,
            login: self.next("login_counter")?,
            security: self.next("security_counter")?,
            session_epoch: self.next("session_epoch")?,
        })
    }

    fn corrupt(&self, column: &'static str, problem: &'static str) -> StoreError {
        StoreError::CorruptRow { table: self.table, id: self.id, column, problem }
    }
}

/// The columns of `account_columns!`.
pub(super) fn read_account(mut columns: Columns<'_>) -> Result<Account, StoreError> {
    columns.table = "users_v2";
    let id = columns.next("id")?;
    columns.id = id;
    let username = columns.next("username")?;
    let password = columns.sealed("password")?.ok_or_else(|| columns.corrupt("password", "missing"))?;
    let state = match columns.next::<String>("state")?.as_str() {
        "provisional" => State::Provisional,
        "active" => State::Active,
        _ => return Err(columns.corrupt("state", "unknown state")),
    };
    let origin = match columns.next::<String>("origin")?.as_str() {
        "generation" => Origin::Generation,
        "creation" => Origin::Creation,
        "external" => Origin::External,
        _ => return Err(columns.corrupt("origin", "unknown origin")),
    };
    let operator = if columns.next("operator_touched")? { Operator::Touched } else { Operator::Untouched };
    let access = if columns.next("disabled_at")? { Access::Disabled } else { Access::Enabled };
    let standing_binding = columns.binding("standing_binding")?;
    let password_born = UnixTime::from_seconds(columns.next("gendate")?);
    let second_factor = columns.sealed("mfa")?;
    let second_factor_born = columns.optional_time("mfa_gendate")?;
    let pending = columns.sealed("pending_mfa")?;
    let pending_born = columns.optional_time("pending_mfa_gendate")?;
    let enrolment_ends = columns.optional_time("enrolment_ends")?;
    let is_marked = columns.next("expired")?;
    let since = columns.optional_time("expired_since")?;
    let counters = columns.counters()?;
    let last_step = columns.next::<Option<i64>>("mfa_last_step")?.map(TotpStep::new);
    let otp_failures = columns.next("otp_failures")?;
    let generated_at = columns.optional_time("generated_at")?;
    let generated_from = columns.next::<Option<String>>("generated_from")?;
    Ok(Account {
        id: AccountId(id),
        username,
        standing: Standing { state, origin, operator, access },
        standing_binding,
        password,
        password_born,
        second_factor: second_factor.map(|secret| SecondFactor { secret, born: second_factor_born }),
        pending: pending.zip(pending_born).map(|(secret, born)| PendingSecondFactor { secret, born }),
        enrolment_ends,
        expiry: if is_marked { Expiry::Marked { since } } else { Expiry::Unmarked },
        counters,
        last_step,
        otp_failures,
        generated: generated_at.zip(generated_from),
    })
}

/// A row of the history, in the first columns of an account's.
pub(super) fn read_past_password(mut columns: Columns<'_>) -> Result<PastPassword, StoreError> {
    columns.table = "password_history_v2";
    let id = columns.next("id")?;
    columns.id = id;
    let owner = columns.next("username")?;
    let password = columns.sealed("password")?.ok_or_else(|| columns.corrupt("password", "missing"))?;
    Ok(PastPassword { id, owner, password })
}

/// The columns of `stored_keys!`.
pub(super) fn read_keys(columns: &mut Columns<'_>) -> Result<StoredKeys, StoreError> {
    let mut list = |column| -> Result<Vec<String>, StoreError> {
        let joined = columns.next::<Option<String>>(column)?;
        Ok(joined.map(|text| text.split(',').map(str::to_owned).collect()).unwrap_or_default())
    };
    Ok(StoredKeys { registered: list("encryption_keys")?, samples: list("password")? })
}

/// What a writing statement returns: whether it passed its gates, and the account after its deed.
pub(super) fn read_saved(row: &[DbValue]) -> Result<Saved, StoreError> {
    let mut columns = Columns::of(row, "users_v2");
    if !columns.next::<bool>("gate")? {
        return Ok(Saved::Locked);
    }
    columns.next::<Option<i64>>("id")?;
    // Of a deed that was not done, there are none.
    Ok(columns.counters().map_or(Saved::Overtaken, Saved::Yes))
}

/// One row of the audit; a row of NULLs is none.
pub(super) fn read_entry(row: &[DbValue]) -> Result<Option<AuditEntry>, StoreError> {
    let mut columns = Columns::of(row, "auth_logs_v2");
    let Some(id) = columns.next("id")? else { return Ok(None) };
    columns.id = id;
    Ok(Some(AuditEntry {
        id,
        at: UnixTime::from_seconds(columns.next::<Option<i64>>("created_at")?.unwrap_or(0)),
        action: columns.next("action")?,
        username: columns.next("details")?,
        user_id: columns.next("user_id")?,
        address: columns.next("ip_address")?,
        user_agent: columns.next("user_agent")?,
        success: columns.next("success")?,
        reason: columns.next("details")?,
        proof: columns.next("details")?,
    }))
}

/// What a column may hold. The SDK's `Decode` does the same with error texts that weigh 20 kB and would show the value.
pub(super) trait Column: Sized {
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
