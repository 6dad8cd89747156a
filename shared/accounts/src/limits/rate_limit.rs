//! Rate limits (OWASP ASVS 6.3.1): failures of a name and of an address, and credentials that an address asks for.
//!
//! A request's first statement reads the counts, which decide whether its credentials are checked at all. Its second statement counts the
//! outcome and decides again: of many parallel requests, only as many are checked as the limits allow.

use crate::types::audit::Caller;
use crate::types::settings::Limits;
use crate::types::time::{Age, UnixTime};
use cofrap_crypto::{DigestKey, digest};
use std::net::{IpAddr, Ipv6Addr};

/// Seconds for which a name is locked when its failures in a row reach the limit. Each further failure doubles them.
pub const FIRST_LOCK: i64 = 30;

/// The most seconds for which a name is locked, and the most that `Retry-After` says.
pub const LONGEST_LOCK: i64 = 900;

/// The window of [`Limits::address_issuances`].
pub const ISSUANCE_WINDOW: i64 = 3600;

/// Seconds after which idle failures of a name are forgotten: a table that anybody can fill must empty itself. Otherwise a complete login, a
/// completed renewal or an operator ends them.
pub const NAME_MEMORY: i64 = 30 * 24 * 3600;

/// Bits of an IPv6 address that belong to one subscriber.
const IPV6_PREFIX: u128 = u128::MAX << 64;

/// The keys of a request's counts in `throttles`. They are keyed digests, so that the table reveals neither names nor addresses.
#[derive(Clone, Debug)]
pub struct RateLimitKeys {
    /// For failures of the caller's address.
    pub address: String,
    /// For credentials that the caller's address asks for.
    pub issuances: String,
    /// For failures of the name, whether an account has it or not.
    pub name: String,
    /// The caller's address as accounts remember the addresses of their logins.
    pub address_digest: String,
    /// The same digest under earlier keys, and without a key as earlier versions wrote it.
    earlier_address_digests: Vec<String>,
}

impl RateLimitKeys {
    /// The keys of one request.
    #[must_use]
    pub fn of(caller: &Caller, username: &str, key: &DigestKey) -> Self {
        Self::of_address(caller.address, username, key)
    }

    /// The keys of an address and a name.
    #[must_use]
    pub fn of_address(address: Option<IpAddr>, username: &str, key: &DigestKey) -> Self {
        let network = network(address);
        Self {
            address: key.digest(&["address", &network]),
            issuances: key.digest(&["generations", &network]),
            name: key.digest(&["name", username]),
            address_digest: key.digest(&["place", &network]),
            earlier_address_digests: key
                .digests(&["place", &network])
                .skip(1)
                .chain([digest(&["place", &network])])
                .collect(),
        }
    }

    /// Whether a stored digest is that of the caller's address.
    #[must_use]
    pub fn is_known_digest(&self, written: &str) -> bool {
        self.address_digest == written || self.earlier_address_digests.iter().any(|place| place == written)
    }
}

/// The part of an address that is counted: an IPv4 address, or the /64 of an IPv6 address. Callers without an address share one count.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & IPV6_PREFIX).to_string(),
        None => String::new(),
    }
}

/// The counts that a request's first statement read.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimitCounts {
    /// Failures of the caller's address.
    pub address: Option<Window>,
    /// Credentials that the caller's address asked for.
    pub issuances: Option<Window>,
    /// Until when the name is locked.
    pub name_locked_until: Option<UnixTime>,
    /// Whether failures of the name are counted, which a complete login ends.
    pub name_has_failures: bool,
    /// Whether one of the account's last three complete logins came from the caller's address: such an address has its own count of the
    /// name's failures.
    pub known_address: bool,
}

/// A number of events within a window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How many.
    pub count: i64,
    /// When the window began.
    pub since: UnixTime,
}

/// A rate limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts")]
pub struct TooManyAttempts {
    /// How long to wait; at most [`LONGEST_LOCK`].
    pub retry_after: Age,
    /// Whether it is the limit of the caller's address, which reveals nothing about the name.
    pub of_address: bool,
}

impl TooManyAttempts {
    /// For a request whose second statement met the limit: parallel requests reached it meanwhile.
    #[must_use]
    pub const fn just_now() -> Self {
        Self { retry_after: Age::from_seconds(FIRST_LOCK.unsigned_abs()), of_address: false }
    }

    /// For an account that only an operator unlocks.
    #[must_use]
    pub const fn until_unlocked() -> Self {
        Self { retry_after: Age::from_seconds(LONGEST_LOCK.unsigned_abs()), of_address: false }
    }

    fn until(end: UnixTime, now: UnixTime) -> Self {
        let longest = Age::from_seconds(LONGEST_LOCK.unsigned_abs());
        Self { retry_after: end.since(now).clamp(Age::from_seconds(1), longest), of_address: false }
    }
}

impl RateLimitCounts {
    /// Whether credentials from the caller's address are checked.
    pub(crate) fn check_address(&self, limits: &Limits, now: UnixTime) -> Result<(), TooManyAttempts> {
        check_window(self.address, limits.address_failures, limits.address_window, now)
    }

    /// Whether the caller's address may ask for more credentials.
    pub(crate) fn check_issuance_limit(&self, limits: &Limits, now: UnixTime) -> Result<(), TooManyAttempts> {
        check_window(self.issuances, limits.address_issuances, ISSUANCE_WINDOW, now)
    }

    /// Whether the name's credentials are checked.
    pub(crate) fn check_name(&self, limits: &Limits, now: UnixTime) -> Result<(), TooManyAttempts> {
        match self.name_locked_until {
            Some(until) if limits.account_failures > 0 && until > now => Err(TooManyAttempts::until(until, now)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the name was locked at or after a time. A challenge from before that is no longer valid.
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

/// The outcome of an attempt, which decides what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// No credential was checked.
    NotChecked,
    /// A password or a code was wrong: counts for the name and for the address.
    CredentialsFailed,
    /// A token was wrong: counts for the address.
    TokenFailed,
    /// The credentials were right, but this was no complete login.
    CredentialsAccepted,
    /// A token was right.
    TokenAccepted,
    /// A complete login: the name's failures in a row end.
    Completed,
    /// A complete renewal: the name's failures in a row end, even if others have locked the name.
    Renewed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofrap_crypto::SharedSecret;

    fn keys(address: &str) -> RateLimitKeys {
        let key = SharedSecret::new("k".repeat(32).into()).unwrap().digest_key();
        RateLimitKeys::of_address(Some(address.parse().unwrap()), "m", &key)
    }

    #[test]
    fn an_ipv6_address_counts_with_its_64_and_a_mapped_one_as_ipv4() {
        let same = |one: &str, other: &str| keys(one).address == keys(other).address;
        assert!(same("2001:db8::1", "2001:db8::ffff:1") && !same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn each_count_has_its_own_key() {
        let keys = keys("192.0.2.1");
        let all = [&keys.address, &keys.issuances, &keys.name, &keys.address_digest];
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
