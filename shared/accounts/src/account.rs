//! An account as it was read, and who may replace its credentials.

use crate::{Age, UnixTime};
use cofrap_crypto::{Sealed, TotpStep};

/// `users_v2.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountId(pub i64);

/// An account as the first statement of a request saw it. The second statement checks that it still is.
#[derive(Debug)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Where it stands in its life.
    pub state: State,
    /// How it came to be.
    pub origin: Origin,
    /// The stored password.
    pub password: Sealed,
    /// When the password was generated.
    pub password_born: UnixTime,
    /// The stored second factor, once there is one.
    pub second_factor: Option<SecondFactor>,
    /// Whether it was marked as expired, by a login or by an operator.
    pub expiry: Expiry,
    /// What tells later requests that its credentials were replaced.
    pub generations: Generations,
    /// The latest step whose code was accepted, whatever the secret was then.
    pub last_step: Option<TotpStep>,
}

/// Where an account stands in its life.
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
    /// Its row was there before, or another program wrote it.
    External,
}

/// Whether an account was marked as expired; its age is judged besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It was not.
    Unmarked,
    /// It was, and stays so until its credentials are renewed.
    Marked,
}

/// A stored second factor.
#[derive(Debug)]
pub struct SecondFactor {
    /// The secret in base32, sealed.
    pub secret: Sealed,
    /// When it was generated; none in rows of other programs, whose password's birth counts.
    pub born: Option<UnixTime>,
}

/// How often each credential was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    /// Passwords so far.
    pub password: i64,
    /// Second factors so far, erased ones included.
    pub second_factor: i64,
}

/// Leave to replace a credential of one account. Only [`Account::grant_password`] and [`Account::grant_second_factor`]
/// make one, and the store takes nothing less.
#[derive(Debug)]
pub struct Grant<'a>(&'a Account);

impl Account {
    /// Whether either factor is strictly older than `max_age`, or the account was marked.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime, max_age: Age) -> bool {
        let second_factor_born =
            self.second_factor.as_ref().and_then(|factor| factor.born).unwrap_or(self.password_born);
        self.expiry == Expiry::Marked || now.since(self.password_born.min(second_factor_born)) > max_age
    }

    /// Leave to start over with a new password: while nobody has proven that the account is theirs.
    #[must_use]
    pub fn grant_password(&self) -> Option<Grant<'_>> {
        match (self.state, self.origin) {
            (State::Provisional, Origin::Generation) => Some(Grant(self)),
            (State::Provisional, Origin::External) | (State::Active, _) => None,
        }
    }

    /// Leave to store the first second factor since the password was generated.
    #[must_use]
    pub fn grant_second_factor(&self) -> Option<Grant<'_>> {
        self.grant_password().filter(|_| self.second_factor.is_none())
    }
}

impl Grant<'_> {
    /// The account whose credential may be replaced.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.0.id
    }

    /// What the leave was given on: it ends when these change.
    #[must_use]
    pub const fn generations(&self) -> Generations {
        self.0.generations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_AGE: Age = Age::from_seconds(100);

    fn account() -> Account {
        Account {
            id: AccountId(1),
            state: State::Provisional,
            origin: Origin::Generation,
            password: Sealed::from_stored(String::new()),
            password_born: UnixTime::from_seconds(1000),
            second_factor: None,
            expiry: Expiry::Unmarked,
            generations: Generations { password: 1, second_factor: 0 },
            last_step: None,
        }
    }

    fn second_factor(born: Option<i64>) -> SecondFactor {
        SecondFactor { secret: Sealed::from_stored(String::new()), born: born.map(UnixTime::from_seconds) }
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
    fn a_marked_account_has_expired_whatever_its_age() {
        let account = Account { expiry: Expiry::Marked, ..account() };
        assert!(account.has_expired(UnixTime::from_seconds(1000), MAX_AGE));
    }

    #[test]
    fn only_an_unproven_account_of_ours_may_start_over() {
        let check = |state, origin, second_factor, password_open, factor_open| {
            let account = Account { state, origin, second_factor, ..account() };
            assert_eq!(account.grant_password().is_some(), password_open);
            assert_eq!(account.grant_second_factor().is_some(), factor_open);
        };
        check(State::Provisional, Origin::Generation, None, true, true);
        check(State::Provisional, Origin::Generation, Some(second_factor(None)), true, false);
        check(State::Provisional, Origin::External, None, false, false);
        check(State::Active, Origin::Generation, None, false, false);
        check(State::Active, Origin::External, Some(second_factor(None)), false, false);
    }
}
