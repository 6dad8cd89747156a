//! Points in time and durations, in whole seconds.

/// Seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(i64);

impl UnixTime {
    /// From seconds since the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch; 0 for earlier times.
    #[must_use]
    pub fn unsigned_seconds(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// This time minus `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Age {
        Age::from_seconds(self.0.saturating_sub(earlier.0).try_into().unwrap_or(0))
    }

    /// This time plus `age`.
    #[must_use]
    pub fn after(self, age: Age) -> Self {
        self.plus(age.seconds().try_into().unwrap_or(i64::MAX))
    }

    /// This time plus `seconds`, which may be negative.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// A duration, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(u64);

impl Age {
    /// From seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }
}
