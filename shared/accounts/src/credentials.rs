//! Judging a password and a code. Both are always judged, so that the time taken does not tell which one was wrong.

use crate::store::note_locked;
use crate::{Account, Attempt, Limits, Origin, Reading, Reason, Stopped, Store, Throttles, TooManyAttempts, UnixTime};
use cofrap_crypto::{
    HashMatch, Keyring, Opened, Password, Sealed, Slot, StoredPassword, TotpCode, TotpSecret, TotpStep,
};

/// How the passwords of one generation of the API are kept. What is stored tells how a password is verified, whoever asks;
/// this tells how a new one is stored, and what judging costs where there is nothing to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// As Fernet tokens.
    Sealed,
    /// As bcrypt hashes, each worth some hundred milliseconds.
    Hashed,
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

/// What judging came to.
pub(crate) enum Judged {
    /// One of them is wrong.
    Wrong {
        reason: Reason,
        /// Whether the code was wrong behind a right password: that is how codes are guessed.
        wrong_code: bool,
    },
    /// The password is right, and the account has no second factor.
    PasswordAlone(RightPassword),
    /// Both are right.
    Both(BothFactors),
}

/// A password and a code that were right.
pub(crate) struct BothFactors {
    pub(crate) password: RightPassword,
    pub(crate) code: RightCode,
}

/// A password that was right.
pub(crate) struct RightPassword {
    /// What should be stored in its place, if it is not.
    pub(crate) again: Option<Sealed>,
    /// Whether it was only compared as far as the hash goes: it is to be replaced.
    pub(crate) must_renew: bool,
}

/// A code that was right.
pub(crate) struct RightCode {
    pub(crate) second_factor: Opened,
    pub(crate) step: TotpStep,
    /// Whether it was that of the second factor that waits.
    pub(crate) is_pending: bool,
}

/// Which second factors a code may belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factors {
    /// None: nobody has proven the stored one, and the password alone is asked.
    Unproven,
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

/// Whether what was read lets a login, or a step of one, be judged; noted if not.
pub(crate) fn check_judged(store: &mut impl Store, attempt: &Attempt<'_>, reading: &Reading) -> Result<(), Stopped> {
    let account = reading.found.account();
    check_locks(account, &reading.throttles, attempt.limits, attempt.at)
        .map_err(|error| note_locked(store, attempt, account.map(|account| account.id), error))
}

/// What judging costs is paid for an unknown name too.
pub(crate) fn judge_nobody(keyring: &Keyring, scheme: Scheme, password: &Password, now: UnixTime) {
    if scheme == Scheme::Hashed {
        keyring.pay_for_a_hash(password);
    }
    for slot in [Slot::Password, Slot::SecondFactor] {
        let _ = keyring.seal(password.expose(), now.unsigned_seconds(), slot.of(""));
    }
}

pub(crate) fn judge(
    keyring: &Keyring,
    scheme: Scheme,
    account: &Account,
    (password, code): (&Password, &SubmittedCode),
    factors: Factors,
    now: UnixTime,
) -> Judged {
    let wrong = |reason| Judged::Wrong { reason, wrong_code: false };
    if !account.is_intact(keyring) {
        judge_nobody(keyring, scheme, password, now);
        return wrong(Reason::AlteredRow);
    }
    let password = judge_password(keyring, scheme, account, &account.password, password, now);
    let code = judge_code(keyring, account, code, factors, now);
    match (password, code) {
        (Err(reason), _) => wrong(reason),
        (Ok(password), Err(Reason::NotEnrolled)) => Judged::PasswordAlone(password),
        (Ok(_), Err(reason)) => Judged::Wrong { reason, wrong_code: reason == Reason::WrongCode },
        (Ok(password), Ok(code)) => Judged::Both(BothFactors { password, code }),
    }
}

/// Judges a password against one of the account's. The account must be intact.
pub(crate) fn judge_password(
    keyring: &Keyring,
    scheme: Scheme,
    account: &Account,
    sealed: &Sealed,
    submitted: &Password,
    now: UnixTime,
) -> Result<RightPassword, Reason> {
    let place = Slot::Password.of(&account.username);
    let stored = keyring.read_password(sealed, place);
    if scheme == Scheme::Hashed && !matches!(stored, Ok(StoredPassword::Hashed { .. })) {
        keyring.pay_for_a_hash(submitted);
    }
    let (is_right, must_renew) = match &stored {
        Ok(StoredPassword::Sealed(opened)) => (submitted.matches(&opened.clear), false),
        Ok(StoredPassword::Hashed { hash, .. }) => match keyring.verify(hash, submitted) {
            HashMatch::Same => (true, false),
            // Our own hashes are of whole passwords; the programs before cut them.
            HashMatch::SameAsFarAsRead => (account.standing.origin == Origin::External, true),
            HashMatch::Different => (false, false),
        },
        Err(_) => return Err(Reason::UnreadableSecret),
    };
    if !is_right {
        return Err(Reason::WrongPassword);
    }
    let again = keyring.refresh_password(sealed, now.unsigned_seconds(), place);
    Ok(RightPassword { again: again.map_err(|_| Reason::UnreadableSecret)?, must_renew })
}

/// Judges a code. The account must be intact.
pub(crate) fn judge_code(
    keyring: &Keyring,
    account: &Account,
    submitted: &SubmittedCode,
    factors: Factors,
    now: UnixTime,
) -> Result<RightCode, Reason> {
    let factor = account.second_factor.as_ref().filter(|_| factors != Factors::Unproven).ok_or(Reason::NotEnrolled)?;
    let pending = account.pending.as_ref().filter(|pending| factors == Factors::AlsoPending && pending.is_alive(now));
    let candidates = [
        Some((&factor.secret, Slot::SecondFactor, false)),
        pending.map(|pending| (&pending.secret, Slot::PendingSecondFactor, true)),
    ];
    let mut refused = Reason::UnreadableSecret;
    for (sealed, slot, is_pending) in candidates.into_iter().flatten() {
        let Ok(second_factor) = keyring.open(sealed, slot.of(&account.username)) else { continue };
        match judge_step(&second_factor, account.last_step, submitted, now) {
            Ok(step) => return Ok(RightCode { second_factor, step, is_pending }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::account;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A hash of cost 12 pauses 32 times: that is how its work is seen.
    const ONE_HASH: u32 = 32;

    static PAUSES: AtomicU32 = AtomicU32::new(0);
    static COUNTING: Mutex<()> = Mutex::new(());

    fn keyring() -> Keyring {
        let keyring: Keyring = "dGhyZWUgYmxpbmQgbWljZSwgc2VlIGhvdyB0aGV5IHI=".parse().unwrap();
        keyring.with_pause(|| {
            PAUSES.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn pauses_of(work: impl FnOnce(&Keyring)) -> u32 {
        let _alone = COUNTING.lock().unwrap();
        let before = PAUSES.load(Ordering::Relaxed);
        work(&keyring());
        PAUSES.load(Ordering::Relaxed) - before
    }

    fn typed(text: &str) -> Password {
        Password::submitted(text.to_owned().into()).unwrap()
    }

    #[test]
    fn where_passwords_are_hashed_an_unknown_name_costs_one_hash_and_where_they_are_sealed_none() {
        let now = UnixTime::from_seconds(0);
        let of = |scheme| pauses_of(|keyring| judge_nobody(keyring, scheme, &typed("x"), now));
        assert_eq!((of(Scheme::Hashed), of(Scheme::Sealed)), (ONE_HASH, 0));
    }

    #[test]
    fn where_passwords_are_hashed_every_account_costs_one_hash_whatever_is_stored() {
        let now = UnixTime::from_seconds(0);
        let sealed = |keyring: &Keyring| keyring.seal("x", 0, Slot::Password.of("michel.ranu"));
        let stored = |text: &str| Sealed::from_stored(text.to_owned(), None, None);
        let hash = stored("$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        let unreadable = stored("nonsense");
        let of = |scheme, password: Option<&Sealed>| {
            pauses_of(|keyring| {
                let password = password.cloned().unwrap_or_else(|| sealed(keyring));
                let account = Account { password, ..account() };
                let _ = judge_password(keyring, scheme, &account, &account.password, &typed("x"), now);
            })
        };
        for password in [None, Some(&hash), Some(&unreadable)] {
            assert_eq!(of(Scheme::Hashed, password), ONE_HASH, "{password:?}");
        }
        assert_eq!((of(Scheme::Sealed, None), of(Scheme::Sealed, Some(&hash))), (0, ONE_HASH));
    }
}
