//! The functions' clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Seconds that a code lasts.
pub const STEP: i64 = 30;

/// A clock that stands still until it is moved, or the machine's.
#[derive(Clone, Debug)]
pub struct TestClock(Option<Arc<AtomicI64>>);

/// When every test begins: 15 January 2026, 12:00 UTC, the first second of a code's step.
pub const fn now_at_start() -> i64 {
    1_768_478_400
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Some(Arc::new(AtomicI64::new(now_at_start()))))
    }

    /// The machine's, which nobody moves.
    pub(crate) const fn of_the_machine() -> Self {
        Self(None)
    }

    /// Seconds since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "functions that run elsewhere have the machine's time")]
    pub fn now(&self) -> i64 {
        let Some(clock) = &self.0 else {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the machine lives after 1970");
            return now.as_secs().cast_signed();
        };
        clock.load(Ordering::SeqCst)
    }

    /// Whether it is the machine's.
    pub(crate) const fn is_real(&self) -> bool {
        self.0.is_none()
    }

    /// Moves on by seconds.
    pub fn advance(&self, seconds: i64) {
        self.0.as_ref().expect("nobody moves the machine's clock").fetch_add(seconds, Ordering::SeqCst);
    }

    /// What the host gives its guests.
    pub(crate) fn for_guests(&self) -> Arc<dyn Fn() -> SystemTime + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || {
            let now = clock.now();
            let distance = Duration::from_secs(now.unsigned_abs());
            if now < 0 { SystemTime::UNIX_EPOCH - distance } else { SystemTime::UNIX_EPOCH + distance }
        })
    }
}
