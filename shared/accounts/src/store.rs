//! Where accounts are kept. Each method is a sentence of the domain and one statement of the database: it checks what
//! the account was when it was read, counts, writes, and adds the attempt's audit row, all together or not at all.

use crate::chosen_password::would_do;
use crate::maintenance::MASK;
use crate::{
    Account, AccountId, Action, Age, Attempt, AuditEntry, Counters, Expiry, Grant, MaintenanceBatch, Metrics,
    NamedEntry, OpenSession, OperatorProof, Partitions, ProvenFactor, ProvenLogin, Reason, Retention, Standing,
    Subjects, Throttles, TooManyAttempts, UnixTime, Username,
};
use cofrap_crypto::{Binding, KeyId, Keyring, Sealed, SessionClaims, SessionId, SubjectKey, TotpStep};
use std::net::IpAddr;

/// What the store keeps and how it answers.
///
/// Every method fails with a [`StoreError`] when the database does not answer or a row makes no sense; nothing was written
/// then, but for [`StoreError::OutcomeUnknown`].
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Store {
    /// Reads the account of a name, and how often the name and the caller's address have failed.
    fn find(&mut self, username: &Username, spelling: Spelling, subjects: &Subjects) -> Result<Reading, StoreError>;

    /// Reads what a session needs of its account; none where that is another by now, or the session was ended.
    fn find_session(&mut self, claims: &SessionClaims) -> Result<Option<SessionAccount>, StoreError>;

    /// The last attempts on a session's account, the newest first.
    fn read_activity(&mut self, claims: &SessionClaims, limit: i64) -> Result<Vec<AuditEntry>, StoreError>;

    /// The complete logins of a session's account since a moment whose sessions were not ended, the newest first.
    fn read_sessions(
        &mut self,
        claims: &SessionClaims,
        since: UnixTime,
        limit: i64,
    ) -> Result<Vec<OpenSession>, StoreError>;

    /// Creates a provisional account with its first password.
    fn create_account(&mut self, attempt: &Attempt<'_>, account: &NewAccount<'_>) -> Result<Saved, StoreError>;

    /// Replaces an account's password.
    fn replace_password(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        change: &NewPassword<'_>,
    ) -> Result<Saved, StoreError>;

    /// Replaces an account's second factor, or puts one beside it that waits for its first code.
    fn replace_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        change: &NewSecondFactor<'_>,
    ) -> Result<Saved, StoreError>;

    /// Notes a complete login: the account is active, the code's step is used up, its failures in a row end.
    /// `session` is what its session will be called, if it gives one.
    fn complete_login(
        &mut self,
        attempt: &Attempt<'_>,
        login: &ProvenLogin<'_>,
        session: Option<&SessionId>,
    ) -> Result<Saved, StoreError>;

    /// Notes a login that was right and too late: the account is marked as expired, the code's step is used up.
    fn mark_expired(&mut self, attempt: &Attempt<'_>, login: &ProvenLogin<'_>) -> Result<Saved, StoreError>;

    /// Notes that one factor was right, which is no complete login: a code's step is used up.
    fn note_factor(&mut self, attempt: &Attempt<'_>, factor: &ProvenFactor<'_>) -> Result<Saved, StoreError>;

    /// Notes an attempt that was judged, or needed no judging, and was refused.
    fn refuse(&mut self, attempt: &Attempt<'_>, refusal: &Refusal) -> Result<Saved<()>, StoreError>;

    /// Notes an attempt that was not judged, because a limit was reached before.
    fn refuse_locked(
        &mut self,
        attempt: &Attempt<'_>,
        account: Option<AccountId>,
        lock: &TooManyAttempts,
    ) -> Result<(), StoreError>;

    /// Notes that a session lasts longer, if it still holds.
    fn renew_session(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError>;

    /// Ends this session alone, if it still holds; from `ends` on it would not anyway.
    fn end_session(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
        ends: UnixTime,
    ) -> Result<Saved<()>, StoreError>;

    /// Drops the second factor that waits, if the session still holds; whether one did.
    fn cancel_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
    ) -> Result<Saved<bool>, StoreError>;

    /// Ends all sessions of an account, if this one still holds.
    fn end_sessions(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError>;

    /// Does what an operator asked with an account.
    fn administer(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        account: &Account,
        standing: Standing,
        binding: (&Binding, &KeyId),
    ) -> Result<Saved<()>, StoreError>;

    /// Forgets what is counted of an address: by the routes with the encryption key, and by those with the operator's token alone.
    fn free_address(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        address: IpAddr,
        counted: [&Subjects; 2],
    ) -> Result<Saved<()>, StoreError>;

    /// Notes that an operator looks at the audit.
    fn note_audit_read(&mut self, attempt: &Attempt<'_>, operator: &OperatorProof) -> Result<Saved<()>, StoreError>;

    /// Rows of the audit, the newest first.
    fn read_audit(&mut self, operator: &OperatorProof, filter: &AuditFilter<'_>)
    -> Result<Vec<AuditEntry>, StoreError>;

    /// Rows with a secret that is not sealed under the first key, or is not bound.
    fn find_stale(
        &mut self,
        operator: &OperatorProof,
        first: &KeyId,
        after: &RotationCursor,
    ) -> Result<StaleBatch, StoreError>;

    /// Puts secrets that were sealed again in the place of those that were read, where those still stand.
    /// Of all rows' secrets, how many were moved; keys that no row needs any more are forgotten.
    fn move_secrets(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        moved: &MovedSecrets,
        first: &KeyId,
    ) -> Result<Saved<i64>, StoreError>;

    /// Does a batch of maintenance, on at most so many rows of each kind.
    fn maintain(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        retention: Retention,
        rows: i64,
    ) -> Result<Saved<MaintenanceBatch>, StoreError>;

    /// Removes accounts that nobody ever completed, at most so many; their names.
    fn remove_accounts(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        count: usize,
    ) -> Result<Vec<String>, StoreError>;

    /// Makes the audit's partitions of the months to come, and drops those in which every row is older than it is kept.
    fn keep_partitions(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        retention: Retention,
    ) -> Result<Partitions, StoreError>;

    /// Rows of the audit with names that no account had, once they are 30 days old.
    fn find_names(&mut self, operator: &OperatorProof, now: UnixTime, rows: i64)
    -> Result<Vec<NamedEntry>, StoreError>;

    /// Puts what the names were made into in their place; how many rows that were.
    fn mask_names(&mut self, operator: &OperatorProof, now: UnixTime, masked: &[NamedEntry])
    -> Result<i64, StoreError>;

    /// Counts the accounts, for the metrics.
    fn count_accounts(&mut self, operator: &OperatorProof, now: UnixTime, max_age: Age) -> Result<(), StoreError>;

    /// Adds attempts to their totals, up to so many rows of the audit.
    fn roll_up_attempts(&mut self, rows: i64) -> Result<(), StoreError>;

    /// What a monitoring system asks for.
    fn read_metrics(&mut self, now: UnixTime) -> Result<Metrics, StoreError>;

    /// What tells whether the functions can work.
    fn read_health(&mut self) -> Result<HealthReading, StoreError>;
}

/// Which spellings of a name are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// The very name.
    Exact,
    /// Names that are the same to people too: [`Found::OtherSpelling`].
    Any,
}

/// What the first statement of a request read.
#[derive(Debug)]
pub struct Reading {
    /// What the name led to.
    pub found: Found,
    /// How often the name and the caller's address have failed.
    pub throttles: Throttles,
    /// The keys that stored secrets need.
    pub keys: StoredKeys,
    /// What the audit has in the place of a name that is nobody's and would do as a password: whoever typed it meant the next field.
    pub alias: Option<String>,
}

/// What a name led to.
#[derive(Debug)]
pub enum Found {
    /// The account of that name.
    Account(Box<Account>),
    /// No account has the name, but one has another spelling of it.
    OtherSpelling,
    /// No account.
    Nobody,
}

impl Found {
    /// The account of that very name.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::OtherSpelling | Self::Nobody => None,
        }
    }
}

/// The keys that stored secrets need.
#[derive(Debug, Default)]
pub struct StoredKeys {
    /// Names of the keys that the functions know rows of.
    pub registered: Vec<String>,
    /// Some tokens that other programs wrote: which keys they need shows when they open.
    pub samples: Vec<String>,
}

impl StoredKeys {
    /// Refuses keys that do not fit what is stored: with them nobody could log in, and what they sealed would be lost to
    /// the right ones. Otherwise the names of the keys that rows need once the first one has sealed something, and that are not
    /// registered yet, with commas between them.
    ///
    /// # Errors
    /// [`StoreError::WrongKeys`]
    pub fn check(&self, keyring: &Keyring) -> Result<String, StoreError> {
        if let Some(id) = self.registered.iter().find(|id| !keyring.has(id)) {
            return Err(StoreError::WrongKeys(format!("stored secrets need the key {id}, which is not in the list")));
        }
        let opened: Vec<_> = self.samples.iter().filter_map(|token| keyring.opener(token)).collect();
        if self.registered.is_empty() && !self.samples.is_empty() && opened.is_empty() {
            return Err(StoreError::WrongKeys("no key of the list opens the stored secrets".to_owned()));
        }
        let needed = std::iter::once(keyring.first_id()).chain(opened).map(KeyId::as_str);
        let unknown: Vec<_> = needed.filter(|id| !self.registered.iter().any(|known| known == id)).collect();
        Ok(unknown.join(","))
    }
}

/// What sessions need of an account.
#[derive(Debug)]
pub struct SessionAccount {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub username: String,
    /// The epoch that its sessions must have.
    pub epoch: i64,
    /// The session that led here.
    pub session: SessionId,
    /// When the older one of its password and second factor was born.
    pub older_factor_born: UnixTime,
    /// When the second factor was born that waits, if one does.
    pub pending_born: Option<UnixTime>,
}

/// An account to create.
#[derive(Debug)]
pub struct NewAccount<'a> {
    /// Its name.
    pub username: &'a Username,
    /// Its password.
    pub password: &'a Sealed,
    /// The same, as the history keeps it.
    pub past_password: &'a Sealed,
    /// Where it stands.
    pub standing: Standing,
    /// What ties that to it.
    pub binding: &'a Binding,
    /// Whether it is created under the legacy policy.
    pub legacy: bool,
}

/// What replacing a password does.
#[derive(Debug)]
pub struct NewPassword<'a> {
    /// The new password.
    pub password: &'a Sealed,
    /// The same, as the history keeps it.
    pub past_password: &'a Sealed,
    /// Whether the account is expired after it.
    pub expiry: Expiry,
    /// What else changes.
    pub change: CredentialChange<'a>,
}

/// What replacing a second factor does.
#[derive(Debug)]
pub struct NewSecondFactor<'a> {
    /// The new secret.
    pub secret: &'a Sealed,
    /// Whether it is in force at once, or waits for its first code.
    pub takes_effect: TakesEffect,
    /// Whether the account is expired after it.
    pub expiry: Expiry,
    /// What else changes.
    pub change: CredentialChange<'a>,
}

/// When a new second factor is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// Now.
    AtOnce,
    /// When a code of it is accepted; until then the old one stays in force.
    AtItsFirstCode,
}

/// What every replacement of a credential changes besides.
#[derive(Debug)]
pub struct CredentialChange<'a> {
    /// Where the account stands after it.
    pub standing: Standing,
    /// What ties that to it.
    pub binding: &'a Binding,
    /// Whether it was done under the legacy policy.
    pub legacy: bool,
}

/// Why an attempt is refused, and what it used up.
#[derive(Debug)]
pub struct Refusal {
    /// The account that the name led to.
    pub account: Option<AccountId>,
    /// Why.
    pub reason: Reason,
    /// The step of a right code: it is used up even so.
    pub step: Option<TotpStep>,
    /// Whether the password was right, though the code was not, or was missing.
    pub right_password: bool,
    /// Whether the code was wrong behind a right password.
    pub wrong_code: bool,
}

impl Refusal {
    /// A refusal that used nothing up.
    #[must_use]
    pub const fn of(account: Option<AccountId>, reason: Reason) -> Self {
        Self { account, reason, step: None, right_password: false, wrong_code: false }
    }
}

/// Which rows of the audit are read.
#[derive(Debug)]
pub struct AuditFilter<'a> {
    /// Of attempts under this name.
    pub username: Option<&'a str>,
    /// Older than the row of this number.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

/// How far a rotation has come: the number of the last row that it looked at, in each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RotationCursor {
    /// In `users_v2`.
    pub account: i64,
    /// In `password_history_v2`.
    pub history: i64,
}

/// Rows with a secret that is not sealed under the first key, or is not bound.
#[derive(Debug)]
pub struct StaleBatch {
    /// Accounts.
    pub accounts: Vec<Account>,
    /// Rows of the history.
    pub history: Vec<PastPassword>,
    /// How many rows there are, those of this batch included.
    pub rows_left: i64,
    /// The keys that stored secrets need.
    pub keys: StoredKeys,
}

/// A row of the history.
#[derive(Debug)]
pub struct PastPassword {
    /// Its number.
    pub id: i64,
    /// The account's name.
    pub owner: String,
    /// The password that was.
    pub password: Sealed,
}

/// A secret that was sealed again.
#[derive(Debug)]
pub struct MovedSecret {
    /// What was read.
    pub old: String,
    /// What stands there now.
    pub new: Sealed,
}

/// An account whose secrets were sealed again.
#[derive(Debug)]
pub struct MovedAccount {
    /// Its number.
    pub id: AccountId,
    /// Its password.
    pub password: MovedSecret,
    /// Its second factor, if it has one.
    pub second_factor: Option<MovedSecret>,
    /// The second factor that waits, if one does.
    pub pending: Option<MovedSecret>,
    /// Where it stands, which must still be so.
    pub standing: Standing,
    /// What ties that to it.
    pub binding: Binding,
}

/// Secrets that were sealed again.
#[derive(Debug, Default)]
pub struct MovedSecrets {
    /// Of accounts.
    pub accounts: Vec<MovedAccount>,
    /// Of the history, by row.
    pub history: Vec<(i64, MovedSecret)>,
}

/// What tells whether the functions can work.
#[derive(Debug)]
pub struct HealthReading {
    /// The schemas of the database's functions that are there, one for each version.
    pub schemas: Vec<String>,
    /// The keys that stored secrets need; none if the functions of this version are not there.
    pub keys: Option<StoredKeys>,
    /// Tables whose numbers lag behind what is stored, or are nearly used up.
    pub weak_sequences: Vec<String>,
    /// Whether it takes writes: a standby, or one that somebody set to be read, does not.
    pub takes_writes: bool,
}

/// Whether a deed was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved<T = Counters> {
    /// It was, with its audit row; the account's counters after it, or what else it came to.
    Yes(T),
    /// Another request came first: only the audit row was written.
    Overtaken,
    /// A limit was reached meanwhile: only the audit row was written.
    Locked,
    /// The session that was shown was ended meanwhile: only the audit row was written.
    SessionEnded,
    /// Only the sealing of the account's secrets changed meanwhile: nothing was written, and judging once more tells.
    Resealed,
}

/// What ends any operation early.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// A limit was reached: nothing was judged.
    #[error(transparent)]
    TooManyAttempts(#[from] TooManyAttempts),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the account of a name; also the names of the keys that rows need from now on, with commas between them.
///
/// # Errors
/// [`StoreError`], also when the keys do not fit what is stored.
pub(crate) fn find(
    store: &mut impl Store,
    keyring: &Keyring,
    username: &Username,
    spelling: Spelling,
    subjects: &Subjects,
    now: UnixTime,
) -> Result<(Reading, String), StoreError> {
    let mut reading = store.find(username, spelling, subjects)?.at(now);
    if reading.found.account().is_none() {
        reading.alias = alias_of(username.as_str(), &keyring.subject_key());
    }
    let needed_keys = reading.keys.check(keyring)?;
    Ok((reading, needed_keys))
}

/// What the audit has in the place of a name that would do as a password: whoever typed it meant the next field.
pub(crate) fn alias_of(name: &str, key: &SubjectKey) -> Option<String> {
    would_do(name).then(|| format!("{MASK}{}", key.digest(&["log", name])))
}

/// Notes a refusal.
///
/// # Errors
/// [`Stopped`], also when a limit was reached meanwhile: then that is what the caller is told.
pub(crate) fn note_refusal(store: &mut impl Store, attempt: &Attempt<'_>, refusal: &Refusal) -> Result<(), Stopped> {
    match store.refuse(attempt, refusal)? {
        Saved::Yes(()) | Saved::Overtaken | Saved::SessionEnded | Saved::Resealed => Ok(()),
        Saved::Locked => Err(TooManyAttempts::just_now().into()),
    }
}

/// Notes that a limit was reached before anything was judged; what the caller is told.
pub(crate) fn note_locked(
    store: &mut impl Store,
    attempt: &Attempt<'_>,
    account: Option<AccountId>,
    error: TooManyAttempts,
) -> Stopped {
    match store.refuse_locked(attempt, account, &error) {
        Ok(()) => error.into(),
        Err(error) => error.into(),
    }
}

/// The store could not do what was asked; nothing was written, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or refused the statement.
    #[error("database: {0}")]
    Unavailable(String),
    /// The connection was lost once a writing statement had been sent: it may have been carried out.
    #[error("database: the outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The database lacks a table or a column: it was not migrated.
    #[error("the database was not migrated: {0}")]
    SchemaMissing(String),
    /// The keys do not fit what is stored.
    #[error("variable encryption_key: {0}")]
    WrongKeys(String),
    /// The database knows another operator's token.
    #[error("the database knows another operator's token: run `migrate` with this one as admin_token")]
    NotTheOperator,
    /// The database was restored from a backup, and what that needs was not done.
    #[error(
        "the database was restored: `cargo xtask after-restore` (or `cofrap-migrate --after-restore`) must treat it first"
    )]
    Restored,
    /// A function of the database answered what nobody here can read.
    #[error("the answer of the database's function {0} makes no sense")]
    CorruptAnswer(&'static str),
    /// A stored row makes no sense.
    #[error("table {table}, row {id}, column {column}: {problem}")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// The row's `id`, when it could be read.
        id: i64,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Attempt<'_> {
    /// A first idea of an attempt: nothing was judged yet.
    #[must_use]
    pub(crate) const fn new<'a>(
        action: Action,
        username: Option<&'a str>,
        caller: &'a crate::Caller,
        subjects: &'a Subjects,
        limits: &'a crate::Limits,
        at: UnixTime,
    ) -> Attempt<'a> {
        Attempt {
            action,
            username,
            alias: None,
            caller,
            at,
            proof: None,
            subjects,
            limits,
            known_place: false,
            tally: crate::Tally::NotJudged,
            needed_keys: "",
        }
    }
}
