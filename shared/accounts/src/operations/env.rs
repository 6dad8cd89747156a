//! What every operation is given.

use crate::types::audit::Caller;
use crate::types::settings::Settings;
use crate::types::time::UnixTime;

/// Tells the time.
pub trait Clock {
    /// The present time.
    fn now(&self) -> UnixTime;
}

/// Everything that an operation needs besides its command. Operations use nothing ambient.
pub struct Env<S, C, R, K> {
    /// Where accounts are stored.
    pub store: S,
    /// The clock.
    pub clock: C,
    /// The source of randomness.
    pub rng: R,
    /// What operations read and never change.
    pub context: RequestContext<K>,
}

/// What operations read and never change.
pub struct RequestContext<K> {
    /// The keys that this operation needs, and no others.
    pub keys: K,
    /// Who asks, for the limits and the audit.
    pub caller: Caller,
    /// What the operator has configured.
    pub settings: Settings,
}
