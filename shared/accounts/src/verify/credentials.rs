//! Checks a password and a code. Both are always checked, so that the response time does not reveal which one was wrong (OWASP ASVS 6.3.8).

use crate::limits::rate_limit::{RateLimitCounts, TooManyAttempts};
use crate::types::account::{Account, Origin};
use crate::types::audit::Reason;
use crate::types::settings::Limits;
use crate::types::time::UnixTime;
use cofrap_crypto::{
    HashMatch, Keyring, Opened, Password, Sealed, SecretColumn, StoredPassword, TotpCode, TotpSecret, TotpStep,
};

/// How a version of the API stores passwords. It decides how a new password is stored, and how long a check takes when there is nothing to check.
/// How a stored password is verified follows from its text alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordStorage {
    /// As Fernet tokens.
    Sealed,
    /// As bcrypt hashes, which take some hundred milliseconds each.
    Hashed,
}

/// A one-time code as it was submitted.
#[derive(Debug)]
pub enum SubmittedCode {
    /// No code was given.
    Missing,
    /// Not six digits; refused like a wrong code.
    Malformed,
    /// Six digits.
    Digits(TotpCode),
}

/// The result of checking a password and a code.
pub(crate) enum CredentialCheck {
    /// One of them was wrong.
    Wrong {
        reason: Reason,
        /// Whether the code was wrong and the password right: such failures are counted per account, since they are how codes are guessed.
        wrong_code: bool,
    },
    /// The password was right, and the account has no second factor.
    PasswordAlone(RightPassword),
    /// Both were right.
    Both(BothFactors),
}

/// A right password and a right code.
pub(crate) struct BothFactors {
    pub(crate) password: RightPassword,
    pub(crate) code: RightCode,
}

/// A right password.
pub(crate) struct RightPassword {
    /// The password encrypted again, if it is not stored under the first key with a MAC.
    pub(crate) resealed: Option<Sealed>,
    /// Whether only its first 72 bytes were compared, because the hash ignores the rest. The user must change it.
    pub(crate) must_change: bool,
}

/// A right code.
pub(crate) struct RightCode {
    pub(crate) second_factor: Opened,
    pub(crate) step: TotpStep,
    /// Whether it belongs to the second factor that waits.
    pub(crate) is_pending: bool,
}

/// Which second factors a code is checked against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factors {
    /// None: no login has proven the stored one, and the password alone is required.
    Unproven,
    InForce,
    /// The one in force and the one that waits: a login puts that in force.
    AlsoPending,
}

/// Whether the rate limits let the account's credentials be checked at all.
pub(crate) fn check_locks(
    account: Option<&Account>,
    counts: &RateLimitCounts,
    limits: &Limits,
    now: UnixTime,
) -> Result<(), TooManyAttempts> {
    counts.check_address(limits, now)?;
    counts.check_name(limits, now)?;
    let is_locked = |account: &Account| limits.otp_failures > 0 && account.otp_failures >= limits.otp_failures;
    if account.is_some_and(is_locked) { Err(TooManyAttempts::until_unlocked()) } else { Ok(()) }
}

/// Takes the time of a check where there is no account.
pub(crate) fn spend_equal_time(keyring: &Keyring, storage: PasswordStorage, password: &Password, now: UnixTime) {
    if storage == PasswordStorage::Hashed {
        keyring.pay_for_a_hash(password);
    }
    for column in [SecretColumn::Password, SecretColumn::SecondFactor] {
        let _ = keyring.seal(password.expose(), now.unsigned_seconds(), column.of(""));
    }
}

/// Checks a password and a code.
pub(crate) fn check_credentials(
    keyring: &Keyring,
    storage: PasswordStorage,
    account: &Account,
    (password, code): (&Password, &SubmittedCode),
    factors: Factors,
    now: UnixTime,
) -> CredentialCheck {
    let wrong = |reason| CredentialCheck::Wrong { reason, wrong_code: false };
    if !account.is_intact(keyring) {
        spend_equal_time(keyring, storage, password, now);
        return wrong(Reason::AlteredRow);
    }
    let password = check_password(keyring, storage, account, &account.password, password, now);
    let code = check_code(keyring, account, code, factors, now);
    match (password, code) {
        (Err(reason), _) => wrong(reason),
        (Ok(password), Err(Reason::NotEnrolled)) => CredentialCheck::PasswordAlone(password),
        (Ok(_), Err(reason)) => CredentialCheck::Wrong { reason, wrong_code: reason == Reason::WrongCode },
        (Ok(password), Ok(code)) => CredentialCheck::Both(BothFactors { password, code }),
    }
}

/// Checks a password against one of the account's stored ones. The account's status must be intact.
pub(crate) fn check_password(
    keyring: &Keyring,
    storage: PasswordStorage,
    account: &Account,
    sealed: &Sealed,
    submitted: &Password,
    now: UnixTime,
) -> Result<RightPassword, Reason> {
    let context = SecretColumn::Password.of(&account.username);
    let stored = keyring.read_password(sealed, context);
    if storage == PasswordStorage::Hashed && !matches!(stored, Ok(StoredPassword::Hashed { .. })) {
        keyring.pay_for_a_hash(submitted);
    }
    let (is_right, must_change) = match &stored {
        Ok(StoredPassword::Sealed(opened)) => (submitted.matches(&opened.clear), false),
        Ok(StoredPassword::Hashed { hash, .. }) => match keyring.verify(hash, submitted) {
            HashMatch::Same => (true, false),
            // Our own hashes are of whole passwords; the programs before cut them.
            HashMatch::SameAsFarAsRead => (account.status.origin == Origin::External, true),
            HashMatch::Different => (false, false),
        },
        Err(_) => return Err(Reason::UnreadableSecret),
    };
    if !is_right {
        return Err(Reason::WrongPassword);
    }
    let resealed = keyring.refresh_password(sealed, now.unsigned_seconds(), context);
    Ok(RightPassword { resealed: resealed.map_err(|_| Reason::UnreadableSecret)?, must_change })
}

/// Checks a code. The account's status must be intact.
pub(crate) fn check_code(
    keyring: &Keyring,
    account: &Account,
    submitted: &SubmittedCode,
    factors: Factors,
    now: UnixTime,
) -> Result<RightCode, Reason> {
    let factor = account.second_factor.as_ref().filter(|_| factors != Factors::Unproven).ok_or(Reason::NotEnrolled)?;
    let pending = account.pending.as_ref().filter(|pending| factors == Factors::AlsoPending && pending.is_alive(now));
    let candidates = [
        Some((&factor.secret, SecretColumn::SecondFactor, false)),
        pending.map(|pending| (&pending.secret, SecretColumn::PendingSecondFactor, true)),
    ];
    let mut refused = Reason::UnreadableSecret;
    for (sealed, column, is_pending) in candidates.into_iter().flatten() {
        let Ok(second_factor) = keyring.open(sealed, column.of(&account.username)) else { continue };
        match check_step(&second_factor, account.last_step, submitted, now) {
            Ok(step) => return Ok(RightCode { second_factor, step, is_pending }),
            // Prefer `ReplayedCode` to `WrongCode`.
            Err(reason) if refused != Reason::ReplayedCode => refused = reason,
            Err(_) => {}
        }
    }
    Err(refused)
}

fn check_step(
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
    use crate::types::account::tests::account;
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
    fn an_unknown_name_costs_one_hash_where_passwords_are_hashed_and_none_where_they_are_encrypted() {
        let now = UnixTime::from_seconds(0);
        let of = |storage| pauses_of(|keyring| spend_equal_time(keyring, storage, &typed("x"), now));
        assert_eq!((of(PasswordStorage::Hashed), of(PasswordStorage::Sealed)), (ONE_HASH, 0));
    }

    #[test]
    fn where_passwords_are_hashed_every_account_costs_one_hash_whatever_is_stored() {
        let now = UnixTime::from_seconds(0);
        let sealed = |keyring: &Keyring| keyring.seal("x", 0, SecretColumn::Password.of("michel.ranu"));
        let stored = |text: &str| Sealed::from_stored(text.to_owned(), None, None);
        let hash = stored("$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        let unreadable = stored("nonsense");
        let of = |storage, password: Option<&Sealed>| {
            pauses_of(|keyring| {
                let password = password.cloned().unwrap_or_else(|| sealed(keyring));
                let account = Account { password, ..account() };
                let _ = check_password(keyring, storage, &account, &account.password, &typed("x"), now);
            })
        };
        for password in [None, Some(&hash), Some(&unreadable)] {
            assert_eq!(of(PasswordStorage::Hashed, password), ONE_HASH, "{password:?}");
        }
        assert_eq!((of(PasswordStorage::Sealed, None), of(PasswordStorage::Sealed, Some(&hash))), (0, ONE_HASH));
    }
}
