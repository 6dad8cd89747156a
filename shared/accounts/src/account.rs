//! An account as it was read: where it stands, what it has, whether it has expired.

use crate::{Age, UnixTime};
use cofrap_crypto::{Binding, Identity, Keyring, Sealed, Slot, TotpStep};

/// `users_v2.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountId(pub i64);

/// An account as the first statement of a request saw it. The second statement checks that it still is.
#[derive(Debug)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its name, as it is stored.
    pub username: String,
    /// Where it stands.
    pub standing: Standing,
    /// What ties its standing to it; none if another program wrote the row.
    pub standing_binding: Option<Binding>,
    /// The stored password.
    pub password: Sealed,
    /// When the password was generated.
    pub password_born: UnixTime,
    /// The password before, while it still proves something.
    pub previous: Option<PreviousPassword>,
    /// The stored second factor, once there is one.
    pub second_factor: Option<SecondFactor>,
    /// A second factor that waits for its first code, beside the one in force.
    pub pending: Option<PendingSecondFactor>,
    /// Until when an account without a second factor may enrol; none is for ever.
    pub enrolment_ends: Option<UnixTime>,
    /// Whether it was marked as expired, by a login or by an operator.
    pub expiry: Expiry,
    /// What tells later requests that something changed.
    pub counters: Counters,
    /// The latest step whose code was accepted, whatever the secret was then.
    pub last_step: Option<TotpStep>,
    /// Wrong codes in a row behind a right password.
    pub otp_failures: i64,
    /// The last generation of either credential: when, and the digest of from where.
    pub generated: Option<(UnixTime, String)>,
}

/// Where an account stands; what a [`Binding`] protects from edits in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands in its life.
    pub state: State,
    /// How it came to be.
    pub origin: Origin,
    /// Whether the operator ever acted on it.
    pub operator: Operator,
    /// Whether it is disabled; this lies beside the state and hides it.
    pub access: Access,
}

/// Where an account stands in its life. Whether it has expired follows from its age: [`Account::has_expired`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No complete login yet.
    Provisional,
    /// A complete login has proven both factors.
    Active,
}

/// How an account came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody asked for a password under a name that was free.
    Generation,
    /// Somebody chose a password for it.
    Creation,
    /// Its row was there before, or another program wrote it.
    External,
}

/// Whether the operator ever acted on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Never.
    Untouched,
    /// They did: what is unproven about the account is theirs to change.
    Touched,
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Enabled,
    /// The operator disabled it.
    Disabled,
}

/// Whether an account was marked as expired; its age is judged besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It was not.
    Unmarked,
    /// It was, and stays so until both factors were born after `since`; a mark without a moment was made by hand, or
    /// because of the age.
    Marked {
        /// When an operator marked it.
        since: Option<UnixTime>,
    },
}

/// The password before the present one: whose answer got lost never saw that one, and asks again with this.
#[derive(Debug)]
pub struct PreviousPassword {
    /// The password, sealed.
    pub secret: Sealed,
    /// Until when it proves something.
    pub ends: UnixTime,
}

impl PreviousPassword {
    /// Seconds that it proves something after a generation.
    pub const PATIENCE: i64 = 900;
}

/// A stored second factor.
#[derive(Debug)]
pub struct SecondFactor {
    /// The secret in base32, sealed.
    pub secret: Sealed,
    /// When it was generated; none in rows of other programs, whose password's birth counts.
    pub born: Option<UnixTime>,
}

/// A second factor that waits.
#[derive(Debug)]
pub struct PendingSecondFactor {
    /// The secret in base32, sealed.
    pub secret: Sealed,
    /// When it was generated.
    pub born: UnixTime,
}

impl PendingSecondFactor {
    /// Seconds that it waits for its first code.
    pub const PATIENCE: u64 = 3600;

    /// Until when it waits.
    #[must_use]
    pub fn ends(&self) -> UnixTime {
        self.born.after(Age::from_seconds(Self::PATIENCE))
    }

    /// Whether it still waits.
    #[must_use]
    pub fn is_alive(&self, now: UnixTime) -> bool {
        now.since(self.born) <= Age::from_seconds(Self::PATIENCE)
    }
}

/// What tells later requests that something changed since they, or their tokens, saw the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Passwords so far.
    pub password_generation: i64,
    /// Second factors so far, erased ones included.
    pub mfa_generation: i64,
    /// Complete logins and renewal tokens so far.
    pub login: i64,
    /// Operator actions, ends of sessions, and generations that were no renewal, so far.
    pub security: i64,
    /// Ends of all sessions so far: a session knows the epoch of its login.
    pub session_epoch: i64,
    /// Which account this is, whoever else had its number. None in a row of another program whose first right password is to come: no
    /// token is bound to it yet.
    pub identity: Option<Identity>,
}

impl Account {
    /// Whether either factor is strictly older than `max_age`, or the account was marked.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime, max_age: Age) -> bool {
        self.would_have_expired(self.password_born, self.second_factor_born(), now, max_age)
    }

    /// Whether the account would have expired if its factors were of these ages.
    #[must_use]
    pub fn would_have_expired(&self, password: UnixTime, second_factor: UnixTime, now: UnixTime, max_age: Age) -> bool {
        let older = password.min(second_factor);
        now.since(older) > max_age || self.marked_since(now, max_age).is_some_and(|since| older <= since)
    }

    /// The moment after which both factors must be born, if the account was marked. A mark that was made by hand counts
    /// from the second before it was first met; one that only says what the age says has no moment of its own.
    #[must_use]
    pub fn marked_since(&self, now: UnixTime, max_age: Age) -> Option<UnixTime> {
        match self.expiry {
            Expiry::Unmarked => None,
            Expiry::Marked { since: Some(since) } => Some(since),
            Expiry::Marked { since: None } => {
                let is_too_old = now.since(self.password_born.min(self.second_factor_born())) > max_age;
                (!is_too_old).then(|| now.plus(-1))
            }
        }
    }

    /// The moment that a credential is born which is made `now`: later than the mark, if the account was marked in this very
    /// second.
    #[must_use]
    pub fn birth(&self, now: UnixTime, max_age: Age) -> UnixTime {
        self.marked_since(now, max_age).map_or(now, |since| now.max(since.plus(1)))
    }

    /// The birth of the second factor in force; a row without one counts from the password's.
    #[must_use]
    pub fn second_factor_born(&self) -> UnixTime {
        self.second_factor.as_ref().and_then(|factor| factor.born).unwrap_or(self.password_born)
    }

    /// Whether its standing is what the functions wrote.
    #[must_use]
    pub fn is_intact(&self, keyring: &Keyring) -> bool {
        keyring.holds_standing(&self.username, &self.standing.to_text(self.id), self.standing_binding.as_ref())
    }

    /// What ties another standing to this account.
    #[must_use]
    pub fn bind(&self, standing: Standing, keyring: &Keyring) -> Binding {
        standing.bind_to(self.id, &self.username, keyring)
    }

    /// Seals a secret for a column of this account.
    #[must_use]
    pub fn seal(&self, keyring: &Keyring, clear: &str, slot: Slot, now: UnixTime) -> Sealed {
        keyring.seal(clear, now.unsigned_seconds(), slot.of(&self.username))
    }
}

impl Standing {
    /// Of an account that was there before, or that another program made.
    #[must_use]
    pub const fn of_taken_over() -> Self {
        Self { state: State::Active, origin: Origin::External, operator: Operator::Untouched, access: Access::Enabled }
    }

    /// Of an account that somebody has just asked for.
    #[must_use]
    pub const fn of_new(origin: Origin, operator: Operator) -> Self {
        Self { state: State::Provisional, origin, operator, access: Access::Enabled }
    }

    /// Whether the operator ever acted on it.
    #[must_use]
    pub fn is_touched(self) -> bool {
        self.operator == Operator::Touched
    }

    /// Whether the operator disabled it.
    #[must_use]
    pub fn is_disabled(self) -> bool {
        self.access == Access::Disabled
    }

    /// What is bound of an account that has no number yet.
    #[must_use]
    pub fn bind_new(self, username: &str, keyring: &Keyring) -> Binding {
        self.bind_to(AccountId(0), username, keyring)
    }

    /// What ties it to an account.
    #[must_use]
    pub fn bind_to(self, id: AccountId, username: &str, keyring: &Keyring) -> Binding {
        keyring.bind_standing(username, &self.to_text(id))
    }

    /// The text that is bound. An active account is bound to its number too, which sessions carry; a new one has none yet.
    fn to_text(self, id: AccountId) -> String {
        let number = match self.state {
            State::Provisional => 0,
            State::Active => id.0,
        };
        let operator = match self.operator {
            Operator::Untouched => "untouched",
            Operator::Touched => "touched",
        };
        let access = match self.access {
            Access::Enabled => "enabled",
            Access::Disabled => "disabled",
        };
        format!("{} {} {operator} {access} {number}", self.state.as_str(), self.origin.as_str())
    }
}

impl State {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Active => "active",
        }
    }
}

impl Origin {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Creation => "creation",
            Self::External => "external",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const MAX_AGE: Age = Age::from_seconds(100);

    pub(crate) fn account() -> Account {
        Account {
            id: AccountId(1),
            username: "michel.ranu".to_owned(),
            standing: Standing::of_new(Origin::Generation, Operator::Untouched),
            standing_binding: None,
            password: sealed(),
            password_born: UnixTime::from_seconds(1000),
            previous: None,
            second_factor: None,
            pending: None,
            enrolment_ends: None,
            expiry: Expiry::Unmarked,
            counters: Counters {
                password_generation: 1,
                mfa_generation: 0,
                login: 0,
                security: 0,
                session_epoch: 0,
                identity: None,
            },
            last_step: None,
            otp_failures: 0,
            generated: None,
        }
    }

    pub(crate) fn sealed() -> Sealed {
        Sealed::from_stored(String::new(), None, None)
    }

    pub(crate) fn second_factor(born: Option<i64>) -> SecondFactor {
        SecondFactor { secret: sealed(), born: born.map(UnixTime::from_seconds) }
    }

    #[test]
    fn an_account_expires_strictly_past_the_maximum_age_of_its_older_factor() {
        let check = |factor, now, expected| {
            let account = Account { second_factor: factor, ..account() };
            assert_eq!(account.has_expired(UnixTime::from_seconds(now), MAX_AGE), expected, "at {now}");
        };
        check(None, 1100, false);
        check(None, 1101, true);
        check(Some(second_factor(None)), 1100, false);
        check(Some(second_factor(None)), 1101, true);
        check(Some(second_factor(Some(900))), 1000, false);
        check(Some(second_factor(Some(900))), 1001, true);
        check(Some(second_factor(Some(1050))), 1101, true);
        check(None, 10, false);
    }

    #[test]
    fn a_mark_holds_until_both_factors_were_born_after_it() {
        let check = |since, password, factor, expected| {
            let expiry = Expiry::Marked { since };
            let account = Account { expiry, second_factor: Some(second_factor(Some(1000))), ..account() };
            let [password, factor, now] = [password, factor, 1050].map(UnixTime::from_seconds);
            assert_eq!(account.would_have_expired(password, factor, now, MAX_AGE), expected, "{password:?} {factor:?}");
        };
        let by_the_operator = Some(UnixTime::from_seconds(1040));
        check(by_the_operator, 1000, 1000, true);
        check(by_the_operator, 1050, 1000, true);
        check(by_the_operator, 1050, 1040, true);
        check(by_the_operator, 1041, 1050, false);
        // Made by hand: met now, so it is as old as the second before.
        check(None, 1000, 1000, true);
        check(None, 1050, 1000, true);
        check(None, 1050, 1050, false);
    }

    #[test]
    fn a_mark_that_only_says_what_the_age_says_ends_with_it() {
        let expiry = Expiry::Marked { since: None };
        let account = Account { expiry, second_factor: Some(second_factor(Some(1150))), ..account() };
        let now = UnixTime::from_seconds(1200);
        assert!(account.has_expired(now, MAX_AGE));
        assert!(!account.would_have_expired(now, UnixTime::from_seconds(1150), now, MAX_AGE));
    }

    #[test]
    fn a_pending_second_factor_waits_for_an_hour() {
        let pending = PendingSecondFactor { secret: sealed(), born: UnixTime::from_seconds(1000) };
        assert!(pending.is_alive(UnixTime::from_seconds(4600)) && !pending.is_alive(UnixTime::from_seconds(4601)));
    }
}
