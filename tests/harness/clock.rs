//! The functions' clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicI64>);

/// When every test begins: 15 January 2026, 12:00 UTC, the first second of a code's step.
pub const fn now_at_start() -> i64 {
    1_768_478_400
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(now_at_start())))
    }

    /// Seconds since the Unix epoch.
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Moves on by seconds.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What the host gives its guests.
    pub(crate) fn for_guests(&self) -> Arc<dyn Fn() -> Duration + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || Duration::from_secs(clock.now().try_into().expect("tests live after 1970")))
    }
}
