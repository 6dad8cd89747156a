//! A login in two steps: `begin_login` judges the password and gives a challenge, `verify_code` judges the code.

use crate::authenticate::{Halted, Proven, completed, conclude, judged_anew, refuse};
use crate::credentials::{Factors, RightCode, RightPassword, check_judged, judge_code, judge_nobody, judge_password};
use crate::store::{find, note_refusal};
use crate::ticket::{CHALLENGE_SECONDS, challenge_holds};
use crate::{
    Access, Account, Action, Attempt, Clock, CodeIsAsked, Env, LoggedIn, LoginError, LoginKeys, Reason, Refusal,
    Scheme, Spelling, Store, Subjects, SubmittedCode, Tally, UnixTime, Username,
};
use cofrap_crypto::{Keyring, Password, Purpose, Slot, TotpStep};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Who begins to log in, and with what.
#[derive(Debug)]
pub struct BeginLogin {
    /// The account's name.
    pub username: Username,
    /// The password as typed.
    pub password: Password,
}

/// The first step of a login is done.
#[derive(Debug)]
pub struct BegunLogin {
    /// What stands for the password in the second step.
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

/// A code to judge, and the challenge that makes it a login.
#[derive(Debug)]
pub struct VerifyCode {
    /// The account's name.
    pub username: Username,
    /// The code as typed.
    pub code: SubmittedCode,
    /// What the first step gave.
    pub challenge: Option<Zeroizing<String>>,
}

/// A code was right.
#[derive(Debug)]
pub enum VerifiedCode {
    /// That is all: there was no challenge.
    Alone,
    /// It completed a login.
    Login(LoggedIn),
}

/// One factor that was right. Only judging it makes one, and the store takes nothing less.
#[derive(Debug)]
pub struct ProvenFactor<'a> {
    account: &'a Account,
    step: Option<TotpStep>,
    must_renew: bool,
}

impl ProvenFactor<'_> {
    /// Whose factor it was.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// The step of the code, which is used up; none where the factor was the password.
    #[must_use]
    pub const fn step(&self) -> Option<TotpStep> {
        self.step
    }

    /// Whether the password must be replaced: the account is marked as expired.
    #[must_use]
    pub const fn must_renew(&self) -> bool {
        self.must_renew
    }
}

/// Judges a password alone. Right, it gives a challenge, which with a code is a login.
///
/// # Errors
/// See [`LoginError`]. Every outcome but a failing store has its audit row.
pub fn begin_login(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &BeginLogin,
) -> Result<BegunLogin, LoginError> {
    judged_anew(|| begin_login_once(env, login))
}

fn begin_login_once(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &BeginLogin,
) -> Result<BegunLogin, Halted> {
    let now = env.clock.now();
    let name = login.username.as_str();
    let (subjects, limits) = (Subjects::of(&env.caller, name, &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(Action::PasswordVerified, Some(name), &env.caller, &subjects, &limits, now);
    let keyring = &env.keys.keyring;
    let (reading, needed_keys) = find(&mut env.store, keyring, &login.username, Spelling::Exact, &subjects, now)?;
    let attempt = attempt.on(&reading, &needed_keys);
    check_judged(&mut env.store, &attempt, &reading)?;
    let account = reading.found.account();

    let (account, password) = match first_step(keyring, account, &login.password, now) {
        Ok(right) => right,
        Err(refusal) => {
            note_refusal(&mut env.store, &attempt.that_came_to(Tally::Failure), &refusal)?;
            return Err(refuse(refusal.reason, &env.settings).into());
        }
    };
    let is_complete = account.second_factor.is_none() && env.settings.policy.rules().code == CodeIsAsked::OfTheEnrolled;
    let counters = if is_complete {
        let proven = Proven::of(keyring, account, password, None, now, &env.settings);
        let attempt = Attempt { action: Action::Login, ..attempt };
        conclude((&mut env.store, &mut env.rng), &env.keys.tokens, &env.settings, &attempt, proven)?.counters
    } else {
        let factor = ProvenFactor { account, step: None, must_renew: password.must_renew };
        completed(env.store.note_factor(&attempt.that_came_to(Tally::Right), &factor)?, &env.settings)?
    };
    let ticket = counters.ticket(account.id, Purpose::Challenge, now.plus(CHALLENGE_SECONDS));
    Ok(BegunLogin {
        challenge: env.keys.tokens.sign_ticket(Purpose::Challenge, &ticket),
        second_step: if account.second_factor.is_some() { SecondStep::Code } else { SecondStep::Enrolment },
    })
}

/// An account, and its password that was right.
fn first_step<'a>(
    keyring: &Keyring,
    account: Option<&'a Account>,
    password: &Password,
    now: UnixTime,
) -> Result<(&'a Account, RightPassword), Refusal> {
    let Some(account) = account else {
        judge_nobody(keyring, Scheme::Hashed, password, now);
        return Err(Refusal::of(None, Reason::UnknownUser));
    };
    let refused = |reason| Refusal::of(Some(account.id), reason);
    if !account.is_intact(keyring) {
        judge_nobody(keyring, Scheme::Hashed, password, now);
        return Err(refused(Reason::AlteredRow));
    }
    let right = judge_password(keyring, Scheme::Hashed, account, &account.password, password, now).map_err(refused)?;
    match account.standing.access {
        Access::Enabled => Ok((account, right)),
        Access::Disabled => Err(refused(Reason::Disabled)),
    }
}

/// Judges a code, and uses it up. With a challenge that holds it completes a login; without one it only says whether it is
/// right.
///
/// # Errors
/// See [`LoginError`]. Every outcome but a failing store has its audit row.
pub fn verify_code(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    verify: &VerifyCode,
) -> Result<VerifiedCode, LoginError> {
    judged_anew(|| verify_code_once(env, verify))
}

fn verify_code_once(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    verify: &VerifyCode,
) -> Result<VerifiedCode, Halted> {
    let now = env.clock.now();
    let name = verify.username.as_str();
    let action = if verify.challenge.is_some() { Action::Login } else { Action::CodeVerified };
    let (subjects, limits) = (Subjects::of(&env.caller, name, &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(action, Some(name), &env.caller, &subjects, &limits, now);
    let keyring = &env.keys.keyring;
    let (reading, needed_keys) = find(&mut env.store, keyring, &verify.username, Spelling::Exact, &subjects, now)?;
    let attempt = attempt.on(&reading, &needed_keys);
    check_judged(&mut env.store, &attempt, &reading)?;
    let account = reading.found.account();

    let challenge = verify.challenge.as_ref();
    let tokens = &env.keys.tokens;
    let holds = challenge
        .zip(account)
        .map(|(challenge, account)| challenge_holds(tokens, challenge, account, &reading.throttles, &limits, now));
    match second_step(keyring, account, &verify.code, holds, now) {
        Err(refusal) if refusal.reason == Reason::NotEnrolled && holds == Some(true) => {
            note_refusal(&mut env.store, &attempt.that_came_to(Tally::Right), &refusal)?;
            Err(LoginError::EnrollmentRequired.into())
        }
        Err(refusal) => {
            note_refusal(&mut env.store, &attempt.that_came_to(Tally::Failure), &refusal)?;
            Err(refuse(refusal.reason, &env.settings).into())
        }
        Ok((account, code)) if challenge.is_none() => {
            let factor = ProvenFactor { account, step: Some(code.step), must_renew: false };
            completed(env.store.note_factor(&attempt.that_came_to(Tally::Right), &factor)?, &env.settings)?;
            Ok(VerifiedCode::Alone)
        }
        Ok((account, code)) => {
            let place = Slot::Password.of(&account.username);
            let Ok(again) = keyring.refresh_password(&account.password, now.unsigned_seconds(), place) else {
                let refusal = Refusal::of(Some(account.id), Reason::UnreadableSecret);
                note_refusal(&mut env.store, &attempt.that_came_to(Tally::Failure), &refusal)?;
                return Err(refuse(refusal.reason, &env.settings).into());
            };
            // What must be renewed was marked in the first step.
            let password = RightPassword { again, must_renew: false };
            let proven = Proven::of(keyring, account, password, Some(code), now, &env.settings).by_challenge();
            conclude((&mut env.store, &mut env.rng), &env.keys.tokens, &env.settings, &attempt, proven)
                .map(VerifiedCode::Login)
        }
    }
}

/// An account, and its code that was right. `holds` is whether the challenge does, if there is one.
fn second_step<'a>(
    keyring: &Keyring,
    account: Option<&'a Account>,
    code: &SubmittedCode,
    holds: Option<bool>,
    now: UnixTime,
) -> Result<(&'a Account, RightCode), Refusal> {
    let Some(account) = account else {
        judge_nobody_s_code(keyring, now);
        return Err(Refusal::of(None, Reason::UnknownUser));
    };
    let refused = |reason| Refusal::of(Some(account.id), reason);
    if !account.is_intact(keyring) {
        judge_nobody_s_code(keyring, now);
        return Err(refused(Reason::AlteredRow));
    }
    let factors = if holds == Some(true) { Factors::AlsoPending } else { Factors::InForce };
    let judged = judge_code(keyring, account, code, factors, now);
    match (judged, account.standing.access, holds) {
        (_, _, Some(false)) => Err(refused(Reason::InvalidToken)),
        (Ok(code), Access::Enabled, _) => Ok((account, code)),
        (Ok(code), Access::Disabled, _) => Err(Refusal { step: Some(code.step), ..refused(Reason::Disabled) }),
        // A wrong code behind a challenge is one behind a right password: that is how codes are guessed.
        (Err(reason), ..) => {
            let wrong_code = reason == Reason::WrongCode && holds == Some(true);
            Err(Refusal { wrong_code, ..refused(reason) })
        }
    }
}

/// What judging a code costs is paid for an unknown name too.
fn judge_nobody_s_code(keyring: &Keyring, now: UnixTime) {
    let _ = keyring.seal("", now.unsigned_seconds(), Slot::SecondFactor.of(""));
}
