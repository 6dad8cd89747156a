//! `authenticate`: a login with password and code in one request; and how every login ends.

use crate::limits::rate_limit::AttemptOutcome;
use crate::operations::case::Case;
use crate::operations::env::{Clock, Env};
use crate::operations::session::{IssuedSession, SessionOf, new_session, new_session_id};
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, Stopped, StoreError};
use crate::store::interface::Store;
use crate::store::snapshot::NameMatch;
use crate::types::account::{Access, AccountId, Counters, PendingSecondFactor};
use crate::types::audit::{Action, Reason};
use crate::types::keys::LoginKeys;
use crate::types::settings::{CodeIsAsked, Refusals, Sessions, Settings};
use crate::types::time::UnixTime;
use crate::types::username::Username;
use crate::verify::authorizer::is_unproven;
use crate::verify::credentials::{
    BothFactors, CredentialCheck, Factors, PasswordStorage, SubmittedCode, check_credentials, spend_equal_time,
};
use crate::verify::login_token::RENEWAL_SECONDS;
use crate::verify::proven::{Proven, ProvenLogin};
use crate::verify::refusal::Refusal;
use cofrap_crypto::{Password, TokenPurpose};
use rand_core::CryptoRng;

/// A login with both factors.
#[derive(Debug)]
pub struct Login {
    /// The account's name.
    pub username: Username,
    /// The submitted password.
    pub password: Password,
    /// The submitted code.
    pub code: SubmittedCode,
}

/// A complete login.
#[derive(Debug)]
pub struct LoggedIn {
    /// The account's name.
    pub username: String,
    /// The account's number.
    pub account: AccountId,
    /// The session; none if the policy issues none.
    pub session: Option<IssuedSession>,
    /// The second factor of the code; none if no code was required.
    pub second_factor: Option<WhichFactor>,
    /// Until when a new second factor waits for its first code, if one does.
    pub pending_until: Option<UnixTime>,
    /// The account's counters after the login.
    pub(crate) counters: Counters,
}

/// Which second factor a code belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichFactor {
    /// The one in force.
    Current,
    /// The one that waited and is in force from now on.
    New,
}

/// Why a login, or one of its two steps, was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown name, wrong password, or missing, wrong or used code.
    #[error("the credentials do not hold")]
    InvalidCredentials {
        /// The reason that the caller learns; none under the strict policy.
        public_reason: Option<Reason>,
    },
    /// The password is right and the account has no second factor yet.
    #[error("the account has no second factor yet")]
    EnrollmentRequired,
    /// Both factors are right, and one of them is too old.
    #[error("the credentials have expired")]
    Expired(RenewalToken),
    /// A rate limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A token that permits replacing both credentials of an account.
#[derive(Debug)]
pub struct RenewalToken {
    /// The token.
    pub token: String,
    /// Its lifetime in seconds.
    pub expires_in: i64,
    /// Whether the password must be replaced, and whether the second factor must.
    pub due: [bool; 2],
}

/// Checks a password and a code together. If both are right and not too old, the login is complete and the code is used up.
///
/// # Errors
/// See [`LoginError`]. Every outcome except a failure of the store has its audit row.
pub fn authenticate(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &Login,
) -> Result<LoggedIn, LoginError> {
    with_one_retry(|| authenticate_once(env, login))
}

/// What ends a login early.
pub(crate) enum Halted {
    /// A key rotation encrypted the account's secrets again between the two statements.
    Resealed,
    By(LoginError),
}

/// Makes a login, and makes it once more after [`Halted::Resealed`]: nothing was written then, and the code was not used up.
pub(crate) fn with_one_retry<T>(mut login: impl FnMut() -> Result<T, Halted>) -> Result<T, LoginError> {
    let result = match login() {
        Err(Halted::Resealed) => login(),
        result => result,
    };
    result.map_err(|halted| match halted {
        Halted::By(error) => error,
        Halted::Resealed => StoreError::Unavailable("the secrets were sealed anew twice meanwhile".to_owned()).into(),
    })
}

fn authenticate_once(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &Login,
) -> Result<LoggedIn, Halted> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let case = Case::open(store, context, now, Action::Login, &login.username, NameMatch::Exact)?;
    case.check_locks(store)?;
    match check_login(&case, login) {
        Ok(proven) => conclude(&case, Action::Login, store, &mut env.rng, proven),
        Err(Denied { outcome, refusal, error }) => {
            case.refuse(store, outcome, &refusal)?;
            Err(error.into())
        }
    }
}

/// Why the account does not permit the login.
struct Denied {
    outcome: AttemptOutcome,
    refusal: Refusal,
    error: LoginError,
}

/// Checks the credentials against the account as it was read. Whether a code was used before, the store decides.
fn check_login<'c>(case: &'c Case<'_, LoginKeys>, login: &Login) -> Result<Proven<'c>, Denied> {
    let (keyring, settings, now) = (case.keyring(), &case.context.settings, case.now);
    let refused = |refusal: Refusal| {
        let error = refuse(refusal.reason, settings);
        Denied { outcome: AttemptOutcome::CredentialsFailed, refusal, error }
    };
    let Some(account) = case.account() else {
        spend_equal_time(keyring, PasswordStorage::Sealed, &login.password, now);
        return Err(refused(Refusal::of(None, Reason::UnknownUser)));
    };
    let shown = (&login.password, &login.code);
    let (password, code) =
        match check_credentials(keyring, PasswordStorage::Sealed, account, shown, Factors::AlsoPending, now) {
            CredentialCheck::Wrong { reason, wrong_code } => {
                let right_password = reason.is_of_the_code();
                let refusal = Refusal { right_password, wrong_code, ..Refusal::of(Some(account.id), reason) };
                let code_alone_is_wrong = right_password && reason != Reason::ReplayedCode;
                let is_strict = settings.policy.rules().refusals == Refusals::Uniform;
                return Err(if code_alone_is_wrong && is_strict && is_unproven(account, settings) {
                    // No login has proven the second factor: the owner may have lost it, and may enrol another.
                    let outcome = if wrong_code {
                        AttemptOutcome::CredentialsFailed
                    } else {
                        AttemptOutcome::CredentialsAccepted
                    };
                    Denied { outcome, refusal, error: LoginError::EnrollmentRequired }
                } else {
                    refused(refusal)
                });
            }
            CredentialCheck::PasswordAlone(password) => (password, None),
            CredentialCheck::Both(BothFactors { password, code }) => (password, Some(code)),
        };
    if account.status.access == Access::Disabled {
        let step = code.map(|code| code.step);
        return Err(refused(Refusal { step, ..Refusal::of(Some(account.id), Reason::Disabled) }));
    }
    if code.is_none() && settings.policy.rules().code == CodeIsAsked::Always {
        return Err(Denied {
            outcome: AttemptOutcome::CredentialsAccepted,
            refusal: Refusal::of(Some(account.id), Reason::NotEnrolled),
            error: LoginError::EnrollmentRequired,
        });
    }
    Ok(Proven::of(keyring, account, password, code, now, settings))
}

/// Records a login with right credentials. In time, it is complete and issues a session; too late, it issues a renewal token.
pub(crate) fn conclude(
    case: &Case<'_, LoginKeys>,
    action: Action,
    store: &mut impl Store,
    rng: &mut impl CryptoRng,
    proven: Proven<'_>,
) -> Result<LoggedIn, Halted> {
    match proven {
        Proven::TooLate(login) => Err(expire(case, store, &login)?.into()),
        Proven::InTime(login) => complete(case, action, store, rng, &login),
    }
}

fn expire(case: &Case<'_, LoginKeys>, store: &mut impl Store, login: &ProvenLogin<'_>) -> Result<LoginError, Halted> {
    let (settings, now) = (&case.context.settings, case.now);
    let attempt = Attempt { action: Action::PasswordExpired, ..case.attempt() };
    let attempt = attempt.with_outcome(AttemptOutcome::CredentialsAccepted);
    let counters = completed(store.mark_expired(&attempt, login)?, settings)?;
    let claims = counters.login_token(login.account().id, TokenPurpose::Renewal, now.plus(RENEWAL_SECONDS));
    let token = case.context.keys.tokens.sign_login_token(TokenPurpose::Renewal, &claims);
    let due = login.due(now, settings.password_max_age);
    Ok(LoginError::Expired(RenewalToken { token, expires_in: RENEWAL_SECONDS, due }))
}

fn complete(
    case: &Case<'_, LoginKeys>,
    action: Action,
    store: &mut impl Store,
    rng: &mut impl CryptoRng,
    login: &ProvenLogin<'_>,
) -> Result<LoggedIn, Halted> {
    let (settings, now, account) = (&case.context.settings, case.now, login.account());
    let attempt = Attempt { action, ..case.attempt() }.with_outcome(AttemptOutcome::Completed);
    let session_id = match settings.policy.rules().sessions {
        Sessions::Issued => Some(new_session_id(rng)),
        Sessions::None => None,
    };
    let counters = completed(store.complete_login(&attempt, login, session_id.as_ref())?, settings)?;
    // The store repeats the identity only where it is new.
    let identity = counters.identity.or(account.counters.identity);
    let counters = Counters { identity, ..counters };
    let session = match session_id {
        Some(id) => {
            let identity = counters.identity.ok_or(StoreError::CorruptAnswer("complete_login"))?;
            let whose = SessionOf { account: account.id, identity, epoch: counters.session_epoch, id, login: now };
            Some(new_session(&case.context.keys.tokens, rng, &whose, now))
        }
        None => None,
    };
    let promotes = login.promotes_pending();
    let waiting = account.pending.as_ref().filter(|pending| !promotes && pending.is_alive(now));
    Ok(LoggedIn {
        username: account.username.clone(),
        account: account.id,
        session,
        second_factor: login.step().map(|_| if promotes { WhichFactor::New } else { WhichFactor::Current }),
        pending_until: waiting.map(PendingSecondFactor::ends),
        counters,
    })
}

/// The counters after a change by a login, if it was made.
pub(crate) fn completed(saved: Saved, settings: &Settings) -> Result<Counters, Halted> {
    match saved {
        Saved::Yes(counters) => Ok(counters),
        Saved::Overtaken | Saved::SessionEnded => Err(refuse(Reason::Overtaken, settings).into()),
        Saved::Locked => Err(Stopped::locked_meanwhile().into()),
        Saved::Resealed => Err(Halted::Resealed),
    }
}

/// A refusal that reveals as much as the policy permits.
pub(crate) fn refuse(reason: Reason, settings: &Settings) -> LoginError {
    let public_reason = match settings.policy.rules().refusals {
        Refusals::Uniform => None,
        Refusals::Distinct => Some(reason),
    };
    LoginError::InvalidCredentials { public_reason }
}

impl From<LoginError> for Halted {
    fn from(error: LoginError) -> Self {
        Self::By(error)
    }
}

impl From<Stopped> for Halted {
    fn from(error: Stopped) -> Self {
        Self::By(error.into())
    }
}

impl From<StoreError> for Halted {
    fn from(error: StoreError) -> Self {
        Self::By(error.into())
    }
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
