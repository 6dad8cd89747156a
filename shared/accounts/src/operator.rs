//! What only the operator does: acting on accounts, reading the audit, moving stored secrets to the first key.

use crate::store::{alias_of, find, note_locked, note_refusal};
use crate::{
    Access, Account, Action, AdministrationKeys, Attempt, AuditEntry, AuditFilter, Bearer, Clock, Env, MovedAccount,
    MovedSecret, MovedSecrets, Operator, OperatorKeys, ProofKind, Reason, Refusal, RotationCursor, Saved, Spelling,
    Standing, Stopped, Store, StoreError, Subjects, Tally, TooManyAttempts, Username,
};
use cofrap_crypto::{Keyring, Place, Sealed, SharedSecret, Slot};
use rand_core::CryptoRng;
use std::fmt;
use std::net::IpAddr;

/// What an operator does with an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAction {
    /// Forgets its failures in a row.
    Unlock,
    /// Has both factors renewed.
    Expire,
    /// Closes it.
    Disable,
    /// Opens it again, as it was.
    Enable,
    /// Erases its second factor; for a day, its owner may enrol another with the password alone.
    ResetSecondFactor,
    /// Ends all its sessions.
    EndSessions,
}

impl AccountAction {
    const fn audited(self) -> Action {
        match self {
            Self::Unlock => Action::AccountUnlocked,
            Self::Expire => Action::AccountExpired,
            Self::Disable => Action::AccountDisabled,
            Self::Enable => Action::AccountEnabled,
            Self::ResetSecondFactor => Action::SecondFactorReset,
            Self::EndSessions => Action::SessionsEnded,
        }
    }
}

/// What an operator asks for an account.
#[derive(Debug)]
pub struct Administer {
    /// The account's name.
    pub username: Username,
    /// What is to be done.
    pub action: AccountAction,
    /// The operator's token.
    pub bearer: Bearer,
}

/// An address whose failures an operator wants forgotten.
#[derive(Debug)]
pub struct FreeAddress {
    /// The address; of an IPv6 one, its /64.
    pub address: IpAddr,
    /// The operator's token.
    pub bearer: Bearer,
}

/// What an operator has done.
#[derive(Debug)]
pub enum OperatorCommand {
    /// With an account.
    Account(Administer),
    /// With an address.
    Address(FreeAddress),
}

/// Which part of the audit an operator asks for.
#[derive(Debug)]
pub struct ReadAudit {
    /// Of attempts under this name only.
    pub username: Option<Username>,
    /// Older than the row of this number.
    pub before: Option<i64>,
    /// At most so many rows.
    pub limit: i64,
    /// The operator's token.
    pub bearer: Bearer,
}

/// Which part of the stored secrets an operator has moved.
#[derive(Debug)]
pub struct RotateKeys {
    /// Where the batch before ended.
    pub after: RotationCursor,
    /// The operator's token.
    pub bearer: Bearer,
}

/// How far a rotation has come.
#[derive(Debug)]
pub struct Rotated {
    /// Rows whose secrets were sealed again.
    pub moved: i64,
    /// Rows that are left, counted up to 10,000; those that could not be opened are among them.
    pub rows_left: i64,
    /// Rows of this batch with a secret that no key opens, or that belongs elsewhere, as `table:id`.
    pub unreadable: Vec<String>,
    /// Where the next batch begins; none when this was the last.
    pub next: Option<RotationCursor>,
}

/// What shows the database that a component knows the operator's token. Only comparing that makes one.
pub struct OperatorProof(String);

impl OperatorProof {
    /// Of who may write the database's tables anyway, and needs none.
    pub(crate) const fn of_owner() -> Self {
        Self(String::new())
    }

    /// The text that the database compares.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OperatorProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorProof(redacted)")
    }
}

/// Why an operator's request was refused.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No operator's token is configured: there is no such function.
    #[error("no operator's token is configured")]
    NotOffered,
    /// The token is another one.
    #[error("the operator's token does not hold")]
    InvalidToken,
    /// There is no such account.
    #[error("there is no such account")]
    UnknownUser,
    /// What the row says of the account is not what the functions wrote: an action would vouch for it.
    #[error("the account's row was altered")]
    Altered,
    /// Another request changed the account first.
    #[error("another request changed the account first")]
    Overtaken,
    /// A limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Does what an operator asked.
///
/// # Errors
/// See [`OperatorError`].
pub fn administer(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &OperatorCommand,
) -> Result<(), OperatorError> {
    match command {
        OperatorCommand::Account(command) => administer_account(env, command),
        OperatorCommand::Address(command) => free_address(env, command),
    }
}

fn administer_account(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &Administer,
) -> Result<(), OperatorError> {
    let now = env.clock.now();
    let name = command.username.as_str();
    let (subjects, limits) = (Subjects::of(&env.caller, name, &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(command.action.audited(), Some(name), &env.caller, &subjects, &limits, now);
    let operator = require_operator(&mut env.store, env.keys.operator.as_ref(), &command.bearer, &attempt)?;
    let attempt = Attempt { proof: Some(ProofKind::Operator), ..attempt }.that_came_to(Tally::TokenRight);
    let (reading, needed_keys) =
        find(&mut env.store, &env.keys.keyring, &command.username, Spelling::Exact, &subjects, now)?;
    let attempt = Attempt { needed_keys: &needed_keys, alias: reading.alias.as_deref(), ..attempt };
    let account = reading.found.account();
    if let Err(error) = reading.throttles.check_address(&limits, now) {
        return Err(note_locked(&mut env.store, &attempt, account.map(|account| account.id), error).into());
    }
    let Some(account) = account else {
        note_refusal(&mut env.store, &attempt, &Refusal::of(None, Reason::UnknownUser))?;
        return Err(OperatorError::UnknownUser);
    };
    if !account.is_intact(&env.keys.keyring) {
        note_refusal(&mut env.store, &attempt, &Refusal::of(Some(account.id), Reason::AlteredRow))?;
        return Err(OperatorError::Altered);
    }
    let access = match command.action {
        AccountAction::Disable => Access::Disabled,
        AccountAction::Enable => Access::Enabled,
        _ => account.standing.access,
    };
    let standing = Standing { operator: Operator::Touched, access, ..account.standing };
    let binding = account.bind(standing, &env.keys.keyring);
    done(env.store.administer(&attempt, &operator, account, standing, (&binding, env.keys.keyring.first_id()))?)
}

/// Forgets what is counted of an address: its failures, and its generations.
fn free_address(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &FreeAddress,
) -> Result<(), OperatorError> {
    let now = env.clock.now();
    let key = env.keys.keyring.subject_key();
    let (subjects, limits) = (Subjects::of(&env.caller, "", &key), env.settings.limits);
    let attempt = Attempt::new(Action::AddressUnlocked, None, &env.caller, &subjects, &limits, now);
    let operator = require_operator(&mut env.store, env.keys.operator.as_ref(), &command.bearer, &attempt)?;
    // Not counted for the caller's own address: it may be the one to free.
    let attempt = Attempt { proof: Some(ProofKind::Operator), ..attempt };
    let operator_key = env.keys.operator.as_ref().ok_or(OperatorError::NotOffered)?.subject_key();
    let [counted, by_operator] = [&key, &operator_key].map(|key| Subjects::of_address(Some(command.address), "", key));
    done(env.store.free_address(&attempt, &operator, command.address, [&counted, &by_operator])?)
}

/// Reads the audit, the newest row first.
///
/// # Errors
/// See [`OperatorError`].
pub fn read_audit(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, OperatorKeys>,
    command: &ReadAudit,
) -> Result<Vec<AuditEntry>, OperatorError> {
    let now = env.clock.now();
    let name = command.username.as_ref().map(Username::as_str);
    let key = env.keys.operator.as_ref().ok_or(OperatorError::NotOffered)?.subject_key();
    let (subjects, limits) = (Subjects::of(&env.caller, "", &key), env.settings.limits);
    let attempt = Attempt::new(Action::AuditRead, name, &env.caller, &subjects, &limits, now);
    let operator = require_operator(&mut env.store, env.keys.operator.as_ref(), &command.bearer, &attempt)?;
    let attempt = Attempt { proof: Some(ProofKind::Operator), ..attempt }.that_came_to(Tally::TokenRight);
    done(env.store.note_audit_read(&attempt, &operator)?)?;
    let filter = AuditFilter { username: name, before: command.before, limit: command.limit };
    Ok(env.store.read_audit(&operator, &filter)?)
}

/// Seals a batch of stored secrets again, under the first key and bound to their places. When nothing is left, the keys
/// that nothing needs any more are forgotten: only then may they leave the list.
///
/// # Errors
/// See [`OperatorError`].
pub fn rotate_keys(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &RotateKeys,
) -> Result<Rotated, OperatorError> {
    let now = env.clock.now();
    let (subjects, limits) = (Subjects::of(&env.caller, "", &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(Action::KeysRotated, None, &env.caller, &subjects, &limits, now);
    let operator = require_operator(&mut env.store, env.keys.operator.as_ref(), &command.bearer, &attempt)?;
    let attempt = Attempt { proof: Some(ProofKind::Operator), ..attempt }.that_came_to(Tally::TokenRight);
    let keyring = &env.keys.keyring;
    let batch = env.store.find_stale(&operator, keyring.first_id(), &command.after)?;
    batch.keys.check(keyring)?;
    let sealed_again = |sealed: &Sealed, place: Place<'_>| {
        let opened = keyring.open(sealed, place).ok()?;
        let new = keyring.seal(&opened.clear, now.unsigned_seconds(), place);
        Some(MovedSecret { old: sealed.token().to_owned(), new })
    };
    let password_again = |stored: &Sealed, place: Place<'_>| {
        let new = keyring.refresh_password(stored, now.unsigned_seconds(), place).ok()?;
        Some(MovedSecret { old: stored.token().to_owned(), new: new.unwrap_or_else(|| stored.clone()) })
    };
    let (mut moved, mut unreadable, mut last) = (MovedSecrets::default(), Vec::new(), command.after);
    for account in &batch.accounts {
        last.account = account.id.0;
        match move_account(account, keyring, sealed_again, password_again) {
            Some(account) => moved.accounts.push(account),
            None => unreadable.push(format!("users_v2:{}", account.id.0)),
        }
    }
    for past in &batch.history {
        last.history = past.id;
        match password_again(&past.password, Slot::PastPassword.of(&past.owner)) {
            Some(secret) => moved.history.push((past.id, secret)),
            None => unreadable.push(format!("password_history_v2:{}", past.id)),
        }
    }
    let moved = done(env.store.move_secrets(&attempt, &operator, &moved, keyring.first_id())?)?;
    let next = (last != command.after).then_some(last);
    Ok(Rotated { moved, rows_left: (batch.rows_left - moved).max(0), unreadable, next })
}

/// All secrets of an account under the first key; none if one of them cannot be read.
fn move_account(
    account: &Account,
    keyring: &Keyring,
    sealed_again: impl Fn(&Sealed, Place<'_>) -> Option<MovedSecret>,
    password_again: impl Fn(&Sealed, Place<'_>) -> Option<MovedSecret>,
) -> Option<MovedAccount> {
    let owner = &account.username;
    let optional = |sealed: Option<&Sealed>, slot: Slot| match sealed {
        Some(sealed) => sealed_again(sealed, slot.of(owner)).map(Some),
        None => Some(None),
    };
    if !account.is_intact(keyring) {
        return None;
    }
    Some(MovedAccount {
        id: account.id,
        password: password_again(&account.password, Slot::Password.of(owner))?,
        second_factor: optional(account.second_factor.as_ref().map(|factor| &factor.secret), Slot::SecondFactor)?,
        pending: optional(account.pending.as_ref().map(|pending| &pending.secret), Slot::PendingSecondFactor)?,
        standing: account.standing,
        binding: account.bind(account.standing, keyring),
    })
}

/// Lets the operator pass. A wrong token counts for the address, and is answered like any other.
pub(crate) fn require_operator(
    store: &mut impl Store,
    operator: Option<&SharedSecret>,
    bearer: &Bearer,
    attempt: &Attempt<'_>,
) -> Result<OperatorProof, OperatorError> {
    let operator = operator.ok_or(OperatorError::NotOffered)?;
    if bearer.token().is_some_and(|token| operator.matches(token)) {
        return Ok(OperatorProof(operator.proof()));
    }
    // Whoever has no token may have typed anything for a name.
    let alias = attempt.username.and_then(|name| alias_of(name, &operator.subject_key()));
    let attempt = Attempt { alias: alias.as_deref(), ..attempt.that_came_to(Tally::TokenFailure) };
    note_refusal(store, &attempt, &Refusal::of(None, Reason::InvalidToken))?;
    Err(OperatorError::InvalidToken)
}

pub(crate) fn done<T>(saved: Saved<T>) -> Result<T, OperatorError> {
    match saved {
        Saved::Yes(done) => Ok(done),
        Saved::Overtaken | Saved::Resealed | Saved::SessionEnded => Err(OperatorError::Overtaken),
        Saved::Locked => Err(Stopped::from(TooManyAttempts::just_now()).into()),
    }
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
