//! The platform's clock and random source.

use crate::pg_store::release_connection;
use cofrap_accounts::{Clock, UnixTime};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use std::time::{Duration, SystemTime};

/// The platform's random source: `wasi:random`.
pub type SystemRng = UnwrapErr<SysRng>;

/// The platform's wall clock: `wasi:clocks/wall-clock`.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> UnixTime {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_seconds(since_epoch.as_secs().try_into().unwrap_or(i64::MAX))
    }
}

/// Called between two slices of a hash. Nothing interrupts a guest, so that its thread
/// would serve nobody else; a sleep, however short, hands the thread on for a moment. A connection would be kept from others, and
/// ended by the server's `idle_session_timeout`: the store opens another when it needs one.
pub(crate) fn release_while_hashing() {
    release_connection();
    std::thread::sleep(Duration::from_nanos(1));
}
