//! A login in two steps: `begin_login` checks the password and issues a challenge, `verify_code` checks the code.

use crate::limits::rate_limit::AttemptOutcome;
use crate::operations::authenticate::{Halted, LoggedIn, LoginError, completed, conclude, refuse, with_one_retry};
use crate::operations::case::Case;
use crate::operations::env::{Clock, Env};
use crate::store::interface::Store;
use crate::store::snapshot::NameMatch;
use crate::types::account::{Access, Account};
use crate::types::audit::{Action, Reason};
use crate::types::keys::LoginKeys;
use crate::types::settings::CodeIsAsked;
use crate::types::time::UnixTime;
use crate::types::username::Username;
use crate::verify::credentials::{
    Factors, PasswordStorage, RightCode, RightPassword, SubmittedCode, check_code, check_password, spend_equal_time,
};
use crate::verify::login_token::{CHALLENGE_SECONDS, is_valid_challenge};
use crate::verify::proven::{Proven, ProvenFactor};
use crate::verify::refusal::Refusal;
use cofrap_crypto::{Keyring, Password, SecretColumn, TokenPurpose};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// The first step of a login.
#[derive(Debug)]
pub struct BeginLogin {
    /// The account's name.
    pub username: Username,
    /// The submitted password.
    pub password: Password,
}

/// A first step that was right.
#[derive(Debug)]
pub struct BegunLogin {
    /// The challenge, which replaces the password in the second step.
    pub challenge: String,
    /// What the second step is.
    pub second_step: SecondStep,
}

/// What follows a right password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondStep {
    /// The code.
    Code,
    /// To enrol a second factor.
    Enrolment,
}

/// A code, and the challenge that makes it a login.
#[derive(Debug)]
pub struct VerifyCode {
    /// The account's name.
    pub username: Username,
    /// The submitted code.
    pub code: SubmittedCode,
    /// The challenge of the first step.
    pub challenge: Option<Zeroizing<String>>,
}

/// A code that was right.
#[derive(Debug)]
pub enum VerifiedCode {
    /// There was no challenge, so that nothing follows.
    Alone,
    /// It completed a login.
    Login(LoggedIn),
}

/// Checks a password alone. If it is right, issues a challenge, which completes the login together with a code.
///
/// # Errors
/// See [`LoginError`]. Every outcome except a failure of the store has its audit row.
pub fn begin_login(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &BeginLogin,
) -> Result<BegunLogin, LoginError> {
    with_one_retry(|| begin_login_once(env, login))
}

fn begin_login_once(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &BeginLogin,
) -> Result<BegunLogin, Halted> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let case = Case::open(store, context, now, Action::PasswordVerified, &login.username, NameMatch::Exact)?;
    case.check_locks(store)?;
    let (keyring, settings) = (case.keyring(), &context.settings);

    let (account, password) = match check_first_step(keyring, case.account(), &login.password, now) {
        Ok(right) => right,
        Err(refusal) => {
            case.refuse(store, AttemptOutcome::CredentialsFailed, &refusal)?;
            return Err(refuse(refusal.reason, settings).into());
        }
    };
    let is_complete = account.second_factor.is_none() && settings.policy.rules().code == CodeIsAsked::OfTheEnrolled;
    let counters = if is_complete {
        let proven = Proven::of(keyring, account, password, None, now, settings);
        conclude(&case, Action::Login, store, &mut env.rng, proven)?.counters
    } else {
        let attempt = case.attempt().with_outcome(AttemptOutcome::CredentialsAccepted);
        completed(store.note_factor(&attempt, &ProvenFactor::password(account, &password))?, settings)?
    };
    let claims = counters.login_token(account.id, TokenPurpose::Challenge, now.plus(CHALLENGE_SECONDS));
    Ok(BegunLogin {
        challenge: context.keys.tokens.sign_login_token(TokenPurpose::Challenge, &claims),
        second_step: if account.second_factor.is_some() { SecondStep::Code } else { SecondStep::Enrolment },
    })
}

/// The account and its password, if that is right.
fn check_first_step<'a>(
    keyring: &Keyring,
    account: Option<&'a Account>,
    password: &Password,
    now: UnixTime,
) -> Result<(&'a Account, RightPassword), Refusal> {
    let storage = PasswordStorage::Hashed;
    let Some(account) = account else {
        spend_equal_time(keyring, storage, password, now);
        return Err(Refusal::of(None, Reason::UnknownUser));
    };
    let refused = |reason| Refusal::of(Some(account.id), reason);
    if !account.is_intact(keyring) {
        spend_equal_time(keyring, storage, password, now);
        return Err(refused(Reason::AlteredRow));
    }
    let right = check_password(keyring, storage, account, &account.password, password, now).map_err(refused)?;
    match account.status.access {
        Access::Enabled => Ok((account, right)),
        Access::Disabled => Err(refused(Reason::Disabled)),
    }
}

/// Checks a code, and uses it up. With a valid challenge it completes a login; without a challenge the answer only says whether it is right.
///
/// # Errors
/// See [`LoginError`]. Every outcome except a failure of the store has its audit row.
pub fn verify_code(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    verify: &VerifyCode,
) -> Result<VerifiedCode, LoginError> {
    with_one_retry(|| verify_code_once(env, verify))
}

fn verify_code_once(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    verify: &VerifyCode,
) -> Result<VerifiedCode, Halted> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let action = if verify.challenge.is_some() { Action::Login } else { Action::CodeVerified };
    let case = Case::open(store, context, now, action, &verify.username, NameMatch::Exact)?;
    case.check_locks(store)?;
    let (keyring, settings) = (case.keyring(), &context.settings);

    let challenge = verify.challenge.as_ref();
    let (tokens, counts) = (&context.keys.tokens, &case.snapshot.counts);
    let is_valid = challenge
        .zip(case.account())
        .map(|(challenge, account)| is_valid_challenge(tokens, challenge, account, counts, &settings.limits, now));
    let (account, code) = match check_second_step(keyring, case.account(), &verify.code, is_valid, now) {
        Ok(right) => right,
        Err(refusal) if refusal.reason == Reason::NotEnrolled && is_valid == Some(true) => {
            case.refuse(store, AttemptOutcome::CredentialsAccepted, &refusal)?;
            return Err(LoginError::EnrollmentRequired.into());
        }
        Err(refusal) => {
            case.refuse(store, AttemptOutcome::CredentialsFailed, &refusal)?;
            return Err(refuse(refusal.reason, settings).into());
        }
    };
    if challenge.is_none() {
        let attempt = case.attempt().with_outcome(AttemptOutcome::CredentialsAccepted);
        completed(store.note_factor(&attempt, &ProvenFactor::code(account, &code))?, settings)?;
        return Ok(VerifiedCode::Alone);
    }
    let column = SecretColumn::Password.of(&account.username);
    let Ok(resealed) = keyring.refresh_password(&account.password, now.unsigned_seconds(), column) else {
        let refusal = Refusal::of(Some(account.id), Reason::UnreadableSecret);
        case.refuse(store, AttemptOutcome::CredentialsFailed, &refusal)?;
        return Err(refuse(refusal.reason, settings).into());
    };
    // A password that must be changed was marked in the first step.
    let password = RightPassword { resealed, must_change: false };
    let proven = Proven::of(keyring, account, password, Some(code), now, settings).by_challenge();
    conclude(&case, Action::Login, store, &mut env.rng, proven).map(VerifiedCode::Login)
}

/// The account and its code, if that is right. `is_valid` says whether the challenge is, if there is one.
fn check_second_step<'a>(
    keyring: &Keyring,
    account: Option<&'a Account>,
    code: &SubmittedCode,
    is_valid: Option<bool>,
    now: UnixTime,
) -> Result<(&'a Account, RightCode), Refusal> {
    let Some(account) = account else {
        spend_equal_time_on_code(keyring, now);
        return Err(Refusal::of(None, Reason::UnknownUser));
    };
    let refused = |reason| Refusal::of(Some(account.id), reason);
    if !account.is_intact(keyring) {
        spend_equal_time_on_code(keyring, now);
        return Err(refused(Reason::AlteredRow));
    }
    let factors = if is_valid == Some(true) { Factors::AlsoPending } else { Factors::InForce };
    let checked = check_code(keyring, account, code, factors, now);
    match (checked, account.status.access, is_valid) {
        (_, _, Some(false)) => Err(refused(Reason::InvalidToken)),
        (Ok(code), Access::Enabled, _) => Ok((account, code)),
        (Ok(code), Access::Disabled, _) => Err(Refusal { step: Some(code.step), ..refused(Reason::Disabled) }),
        // A wrong code with a valid challenge follows a right password: that is how codes are guessed.
        (Err(reason), ..) => {
            let wrong_code = reason == Reason::WrongCode && is_valid == Some(true);
            Err(Refusal { wrong_code, ..refused(reason) })
        }
    }
}

/// Takes the time of checking a code where there is no account.
fn spend_equal_time_on_code(keyring: &Keyring, now: UnixTime) {
    let _ = keyring.seal("", now.unsigned_seconds(), SecretColumn::SecondFactor.of(""));
}
