//! Time and randomness, as the platform gives them.

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

/// Nothing interrupts a guest: while it computes, the thread that runs it serves nobody else. A sleep, however short, gives the
/// thread back for a moment.
pub(crate) fn let_others_run() {
    std::thread::sleep(Duration::from_nanos(1));
}
