//! Judging a password and a code. Both are always judged, so that the time taken does not tell which one was wrong.

use crate::{Account, Limits, Reason, Throttles, TooManyAttempts, UnixTime};
use cofrap_crypto::{Keyring, Opened, Password, Slot, TotpCode, TotpSecret, TotpStep};

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

/// What judging came to.
pub(crate) enum Judged {
    /// One of them is wrong.
    Wrong {
        reason: Reason,
        /// Whether the code was wrong behind a right password: that is how codes are guessed.
        wrong_code: bool,
    },
    /// The password is right, and the account has no second factor.
    PasswordAlone(Opened),
    /// Both are right.
    Both(BothFactors),
}

/// A password and a code that were right.
pub(crate) struct BothFactors {
    pub(crate) password: Opened,
    pub(crate) second_factor: Opened,
    pub(crate) step: TotpStep,
    /// Whether the code was that of the second factor that waits.
    pub(crate) is_pending: bool,
}

/// Which second factors a code may belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factors {
    InForce,
    /// The one that waits too: a login proves it.
    AlsoPending,
}

/// Whether the account's credentials may be judged at all.
pub(crate) fn check_locks(
    account: Option<&Account>,
    throttles: &Throttles,
    limits: &Limits,
    now: UnixTime,
) -> Result<(), TooManyAttempts> {
    throttles.check_address(limits, now)?;
    throttles.check_name(limits, now)?;
    let is_locked = |account: &Account| limits.otp_failures > 0 && account.otp_failures >= limits.otp_failures;
    if account.is_some_and(is_locked) { Err(TooManyAttempts::until_unlocked()) } else { Ok(()) }
}

/// What judging costs is paid for an unknown name too.
pub(crate) fn judge_nobody(keyring: &Keyring, password: &Password, now: UnixTime) {
    for slot in [Slot::Password, Slot::SecondFactor] {
        let _ = keyring.seal(password.expose(), now.unsigned_seconds(), slot.of(""));
    }
}

pub(crate) fn judge(
    keyring: &Keyring,
    account: &Account,
    password: &Password,
    code: &SubmittedCode,
    factors: Factors,
    now: UnixTime,
) -> Judged {
    let wrong = |reason| Judged::Wrong { reason, wrong_code: false };
    if !account.is_intact(keyring) {
        judge_nobody(keyring, password, now);
        return wrong(Reason::AlteredRow);
    }
    let password = judge_password(keyring, account, password);
    let code = judge_code(keyring, account, code, factors, now);
    match (password, code) {
        (Err(reason), _) => wrong(reason),
        (Ok(password), Err(Reason::NotEnrolled)) => Judged::PasswordAlone(password),
        (Ok(_), Err(reason)) => Judged::Wrong { reason, wrong_code: reason == Reason::WrongCode },
        (Ok(password), Ok((second_factor, step, is_pending))) => {
            Judged::Both(BothFactors { password, second_factor, step, is_pending })
        }
    }
}

fn judge_password(keyring: &Keyring, account: &Account, submitted: &Password) -> Result<Opened, Reason> {
    let place = Slot::Password.of(&account.username);
    let stored = keyring.open(&account.password, place).map_err(|_| Reason::UnreadableSecret)?;
    if submitted.matches(&stored.clear) { Ok(stored) } else { Err(Reason::WrongPassword) }
}

fn judge_code(
    keyring: &Keyring,
    account: &Account,
    submitted: &SubmittedCode,
    factors: Factors,
    now: UnixTime,
) -> Result<(Opened, TotpStep, bool), Reason> {
    let factor = account.second_factor.as_ref().ok_or(Reason::NotEnrolled)?;
    let pending = account.pending.as_ref().filter(|pending| factors == Factors::AlsoPending && pending.is_alive(now));
    let candidates = [
        Some((&factor.secret, Slot::SecondFactor, false)),
        pending.map(|pending| (&pending.secret, Slot::PendingSecondFactor, true)),
    ];
    let mut refused = Reason::UnreadableSecret;
    for (sealed, slot, is_pending) in candidates.into_iter().flatten() {
        let Ok(secret) = keyring.open(sealed, slot.of(&account.username)) else { continue };
        match judge_step(&secret, account.last_step, submitted, now) {
            Ok(step) => return Ok((secret, step, is_pending)),
            // Of two reasons, that one secret knows the code says more.
            Err(reason) if refused != Reason::ReplayedCode => refused = reason,
            Err(_) => {}
        }
    }
    Err(refused)
}

fn judge_step(
    secret: &Opened,
    last: Option<TotpStep>,
    submitted: &SubmittedCode,
    now: UnixTime,
) -> Result<TotpStep, Reason> {
    let secret = TotpSecret::from_base32(&secret.clear).map_err(|_| Reason::UnreadableSecret)?;
    let code = match submitted {
        SubmittedCode::Missing => return Err(Reason::MissingCode),
        SubmittedCode::Malformed => return Err(Reason::WrongCode),
        SubmittedCode::Digits(code) => code,
    };
    let step = secret.matched_step(code, now.unsigned_seconds()).ok_or(Reason::WrongCode)?;
    if last.is_some_and(|last| step <= last) { Err(Reason::ReplayedCode) } else { Ok(step) }
}
