//! How often things may fail, and what is remembered of it.
//!
//! What a request's first statement read decides whether it is judged at all. What judging it came to is counted by the
//! second statement, which has the last word: of many requests at once, only as many are judged as the limits allow.

use crate::{Age, Caller, Limits, UnixTime};
use cofrap_crypto::{SubjectKey, digest};
use std::net::{IpAddr, Ipv6Addr};

/// How long an account waits after as many failures in a row as the limit; each further one doubles it.
pub const FIRST_LOCK: i64 = 30;

/// The longest that an account waits, and the longest that a refused caller is told to.
pub const LONGEST_LOCK: i64 = 900;

/// The window of [`Limits::address_generations`].
pub const GENERATION_WINDOW: i64 = 3600;

/// How long failures in a row of a name are remembered when nothing more happens. They are otherwise only forgotten at a
/// complete login, a completed renewal, or by the operator; but a table that anybody can fill must empty itself.
pub const NAME_MEMORY: i64 = 30 * 24 * 3600;

/// Bits of an IPv6 address that belong to one subscriber.
const IPV6_PREFIX: u128 = u128::MAX << 64;

/// Whose attempts are counted: keyed digests, so that the table of counts is no list of people, nor a list of their addresses.
#[derive(Clone, Debug)]
pub struct Subjects {
    /// The caller's address, for failures.
    pub address: String,
    /// The caller's address, for generations.
    pub generations: String,
    /// The account's name, whether it exists or not.
    pub name: String,
    /// The caller's address, as a place that an account knows.
    pub place: String,
    /// The same as it was written under earlier keys, and by versions that had none.
    earlier_places: Vec<String>,
}

impl Subjects {
    /// The subjects of one request.
    #[must_use]
    pub fn of(caller: &Caller, username: &str, key: &SubjectKey) -> Self {
        Self::of_address(caller.address, username, key)
    }

    /// The subjects of an address.
    #[must_use]
    pub fn of_address(address: Option<IpAddr>, username: &str, key: &SubjectKey) -> Self {
        let network = network(address);
        Self {
            address: key.digest(&["address", &network]),
            generations: key.digest(&["generations", &network]),
            name: key.digest(&["name", username]),
            place: key.digest(&["place", &network]),
            earlier_places: key.digests(&["place", &network]).skip(1).chain([digest(&["place", &network])]).collect(),
        }
    }

    /// Whether this is the caller's address, as somebody wrote it down.
    #[must_use]
    pub fn is_place(&self, written: &str) -> bool {
        self.place == written || self.earlier_places.iter().any(|place| place == written)
    }

    /// The caller's address in each way that it may be written down, the present one first, with commas between them.
    #[must_use]
    pub fn places(&self) -> String {
        [&self.place].into_iter().chain(&self.earlier_places).map(String::as_str).collect::<Vec<_>>().join(",")
    }
}

/// What is counted as one address: an IPv4 address, or the /64 of an IPv6 one. Callers without an address are one.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & IPV6_PREFIX).to_string(),
        None => String::new(),
    }
}

/// The counts as a request's first statement read them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Throttles {
    /// Failures of the caller's address.
    pub address: Option<Window>,
    /// Generations that the caller's address asked for.
    pub generations: Option<Window>,
    /// Until when the name waits, in seconds since the Unix epoch.
    pub name_locked_until: Option<UnixTime>,
    /// Whether one of the account's last three complete logins came from the caller's address: it has a count of its own.
    pub known_place: bool,
}

/// Events since a moment.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How many.
    pub count: i64,
    /// Since when.
    pub since: UnixTime,
}

/// Too many attempts: how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts")]
pub struct TooManyAttempts {
    /// At most [`LONGEST_LOCK`].
    pub retry_after: Age,
    /// Whether it is the caller's own address that waits, which says nothing about the name.
    pub of_address: bool,
}

impl TooManyAttempts {
    /// What a caller is told whom the second statement refused: somebody else reached the limit meanwhile.
    #[must_use]
    pub const fn just_now() -> Self {
        Self { retry_after: Age::from_seconds(FIRST_LOCK.unsigned_abs()), of_address: false }
    }

    /// What a caller is told who waits for the operator.
    #[must_use]
    pub const fn until_unlocked() -> Self {
        Self { retry_after: Age::from_seconds(LONGEST_LOCK.unsigned_abs()), of_address: false }
    }

    fn until(end: UnixTime, now: UnixTime) -> Self {
        let longest = Age::from_seconds(LONGEST_LOCK.unsigned_abs());
        Self { retry_after: end.since(now).clamp(Age::from_seconds(1), longest), of_address: false }
    }
}

impl Throttles {
    /// Whether the caller's address may have more of its attempts judged.
    pub(crate) fn check_address(&self, limits: &Limits, now: UnixTime) -> Result<(), TooManyAttempts> {
        check_window(self.address, limits.address_failures, limits.address_window, now)
    }

    /// Whether the caller's address may ask for more generations.
    pub(crate) fn check_generations(&self, limits: &Limits, now: UnixTime) -> Result<(), TooManyAttempts> {
        check_window(self.generations, limits.address_generations, GENERATION_WINDOW, now)
    }

    /// Whether the name's credentials may be judged.
    pub(crate) fn check_name(&self, limits: &Limits, now: UnixTime) -> Result<(), TooManyAttempts> {
        match self.name_locked_until {
            Some(until) if limits.account_failures > 0 && until > now => Err(TooManyAttempts::until(until, now)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the name was locked at or after a moment: what was given before ended with that.
    pub(crate) fn locked_since(&self, limits: &Limits, moment: UnixTime) -> bool {
        limits.account_failures > 0 && self.name_locked_until.is_some_and(|until| until > moment)
    }
}

fn check_window(window: Option<Window>, limit: i64, seconds: i64, now: UnixTime) -> Result<(), TooManyAttempts> {
    let Some(window) = window.filter(|_| limit > 0) else { return Ok(()) };
    let end = window.since.plus(seconds);
    if end > now && window.count >= limit {
        return Err(TooManyAttempts { of_address: true, ..TooManyAttempts::until(end, now) });
    }
    Ok(())
}

/// What an attempt came to, for the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Nothing was judged.
    NotJudged,
    /// A password or a code was wrong: it counts for the name and for the address.
    Failure,
    /// A token was wrong: it counts for the address.
    TokenFailure,
    /// A password, or a password and a code, was right, and the attempt still no complete login.
    Right,
    /// A token was right.
    TokenRight,
    /// Password and code were right, and all is well: the name's failures in a row end.
    Complete,
    /// A renewal is complete: the name's failures in a row end, even while others have locked it.
    Renewed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofrap_crypto::SharedSecret;

    fn subjects(address: &str) -> Subjects {
        let key = SharedSecret::new("k".repeat(32).into()).unwrap().subject_key();
        Subjects::of_address(Some(address.parse().unwrap()), "m", &key)
    }

    #[test]
    fn an_ipv6_address_counts_with_its_64_and_a_mapped_one_as_ipv4() {
        let same = |one: &str, other: &str| subjects(one).address == subjects(other).address;
        assert!(same("2001:db8::1", "2001:db8::ffff:1") && !same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn each_count_has_a_name_of_its_own() {
        let subjects = subjects("192.0.2.1");
        let all = [&subjects.address, &subjects.generations, &subjects.name, &subjects.place];
        assert!(all.iter().enumerate().all(|(i, one)| all.iter().skip(i + 1).all(|other| one != other)));
        assert!(all.iter().all(|digest| digest.len() == 43 && !digest.contains("192")));
    }

    #[test]
    fn a_window_is_full_at_its_limit_until_its_end_and_0_turns_it_off() {
        let check = |count, now, limit| {
            let window = Some(Window { count, since: UnixTime::from_seconds(1000) });
            check_window(window, limit, 300, UnixTime::from_seconds(now)).err().map(|error| error.retry_after)
        };
        assert_eq!(check(29, 1000, 30), None);
        assert_eq!(check(30, 1000, 30), Some(Age::from_seconds(300)));
        assert_eq!(check(30, 1299, 30), Some(Age::from_seconds(1)));
        assert_eq!(check(30, 1300, 30), None);
        assert_eq!(check(1000, 1000, 0), None);
    }

    #[test]
    fn nobody_is_told_to_wait_longer_than_a_quarter_of_an_hour() {
        let until = |seconds| TooManyAttempts::until(UnixTime::from_seconds(seconds), UnixTime::from_seconds(0));
        assert_eq!(until(3600).retry_after, Age::from_seconds(900));
        assert_eq!(until(0).retry_after, Age::from_seconds(1));
    }
}
