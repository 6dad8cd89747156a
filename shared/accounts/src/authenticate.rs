//! `authenticate`: judges a password and a code together.

use crate::{
    Account, AccountId, Action, Age, Attempt, Clock, Env, Generations, Reason, Saved, Store, StoreError, UnixTime,
    Username,
};
use cofrap_crypto::{Keyring, Password, TotpCode, TotpSecret, TotpStep};
use rand_core::CryptoRng;

/// Who wants to log in, and with what.
#[derive(Debug)]
pub struct Login {
    /// The account's name.
    pub username: Username,
    /// The password as typed.
    pub password: Password,
    /// The code as typed.
    pub code: SubmittedCode,
}

/// A one-time code as somebody typed it, or did not.
#[derive(Debug)]
pub enum SubmittedCode {
    /// No code was given.
    Missing,
    /// What was given can be no code; it is refused like a wrong one.
    Malformed,
    /// Six digits.
    Digits(TotpCode),
}

/// A complete login.
#[derive(Debug)]
pub struct LoggedIn {
    /// The account's name.
    pub username: Username,
    /// The account's number.
    pub account: AccountId,
}

/// Why a login was refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// Unknown name, wrong password, or missing, wrong or used code: a caller is not told which.
    #[error("the credentials do not hold")]
    InvalidCredentials,
    /// The password is right and the account has no second factor yet.
    #[error("the account has no second factor yet")]
    EnrollmentRequired,
    /// Both factors are right, and one of them is too old.
    #[error("the credentials have expired")]
    Expired,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Judges a password and a code together; both right and young enough is a complete login, and uses the code up.
///
/// # Errors
/// See [`AuthenticateError`]. Every outcome but a failing store has its audit row.
pub fn authenticate(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng>,
    login: &Login,
) -> Result<LoggedIn, AuthenticateError> {
    let now = env.clock.now();
    let attempt = Attempt { action: Action::Login, username: &login.username, caller: &env.caller, at: now };

    let Some(account) = env.store.find(&login.username)?.account() else {
        // What judging a stored password costs is paid for an unknown name too.
        let _ = env.keyring.seal(login.password.expose(), now.unsigned_seconds());
        env.store.refuse(&attempt, None, Reason::UnknownUser)?;
        return Err(AuthenticateError::InvalidCredentials);
    };

    match judge(&env.keyring, &account, login, now, env.settings.password_max_age) {
        Verdict::Refused(reason) => {
            env.store.refuse(&attempt, Some(account.id), reason)?;
            Err(AuthenticateError::InvalidCredentials)
        }
        Verdict::NotEnrolled => {
            env.store.refuse(&attempt, Some(account.id), Reason::NotEnrolled)?;
            Err(AuthenticateError::EnrollmentRequired)
        }
        Verdict::Expired(proven) => {
            let attempt = Attempt { action: Action::PasswordExpired, ..attempt };
            match env.store.mark_expired(&attempt, &proven)? {
                Saved::Yes => Err(AuthenticateError::Expired),
                Saved::Overtaken => Err(AuthenticateError::InvalidCredentials),
            }
        }
        Verdict::Proven(proven) => match env.store.complete_login(&attempt, &proven)? {
            Saved::Yes => Ok(LoggedIn { username: login.username.clone(), account: account.id }),
            Saved::Overtaken => Err(AuthenticateError::InvalidCredentials),
        },
    }
}

/// What the account as read says to a login; the store has the last word on a code's first use.
enum Verdict<'a> {
    Refused(Reason),
    NotEnrolled,
    Expired(ProvenLogin<'a>),
    Proven(ProvenLogin<'a>),
}

/// Both factors of an account were right, at one step. Only judging them makes one, and the store takes nothing less.
#[derive(Debug)]
pub struct ProvenLogin<'a> {
    account: &'a Account,
    step: TotpStep,
}

impl ProvenLogin<'_> {
    /// Whose factors they were.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account.id
    }

    /// Which password and second factor were judged: the proof ends when they are replaced.
    #[must_use]
    pub const fn generations(&self) -> Generations {
        self.account.generations
    }

    /// The step whose code is used up.
    #[must_use]
    pub const fn step(&self) -> TotpStep {
        self.step
    }
}

/// Both factors are always judged, so that the time taken does not tell which one was wrong.
fn judge<'a>(keyring: &Keyring, account: &'a Account, login: &Login, now: UnixTime, max_age: Age) -> Verdict<'a> {
    let password = judge_password(keyring, account, &login.password);
    let code = judge_code(keyring, account, &login.code, now);
    match (password, code) {
        (Ok(()), Err(Reason::NotEnrolled)) => Verdict::NotEnrolled,
        (Err(reason), _) | (Ok(()), Err(reason)) => Verdict::Refused(reason),
        (Ok(()), Ok(step)) if account.has_expired(now, max_age) => Verdict::Expired(ProvenLogin { account, step }),
        (Ok(()), Ok(step)) => Verdict::Proven(ProvenLogin { account, step }),
    }
}

fn judge_password(keyring: &Keyring, account: &Account, submitted: &Password) -> Result<(), Reason> {
    let stored = keyring.open(&account.password).map_err(|_| Reason::UnreadableSecret)?;
    if submitted.matches(&stored) { Ok(()) } else { Err(Reason::WrongPassword) }
}

fn judge_code(
    keyring: &Keyring,
    account: &Account,
    submitted: &SubmittedCode,
    now: UnixTime,
) -> Result<TotpStep, Reason> {
    let factor = account.second_factor.as_ref().ok_or(Reason::NotEnrolled)?;
    let base32 = keyring.open(&factor.secret).map_err(|_| Reason::UnreadableSecret)?;
    let secret = TotpSecret::from_base32(&base32).map_err(|_| Reason::UnreadableSecret)?;
    let code = match submitted {
        SubmittedCode::Missing => return Err(Reason::MissingCode),
        SubmittedCode::Malformed => return Err(Reason::WrongCode),
        SubmittedCode::Digits(code) => code,
    };
    let step = secret.matched_step(code, now.unsigned_seconds()).ok_or(Reason::WrongCode)?;
    if account.last_step.is_some_and(|last| step <= last) { Err(Reason::ReplayedCode) } else { Ok(step) }
}
