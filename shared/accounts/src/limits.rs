//! Rate limits: what is counted, and what the counts permit. Imports `types` alone.

pub(crate) mod clock_skew;
pub(crate) mod rate_limit;
