//! Moments and ages, in whole seconds.

/// Seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(i64);

impl UnixTime {
    /// A moment from its seconds since the Unix epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch, for what counts from it without a sign; moments before it count as the epoch.
    #[must_use]
    pub fn unsigned_seconds(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// How long before `self` the other moment was; nothing when it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Age {
        Age::from_seconds(self.0.saturating_sub(earlier.0).try_into().unwrap_or(0))
    }

    /// The moment at which something born at this one has an age.
    #[must_use]
    pub fn after(self, age: Age) -> Self {
        self.plus(age.seconds().try_into().unwrap_or(i64::MAX))
    }

    /// The moment so many seconds later.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// A length of time, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(u64);

impl Age {
    /// An age from its seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Its seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }
}
