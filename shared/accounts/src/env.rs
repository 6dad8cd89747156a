//! What every operation is given.

use crate::{Caller, Settings, UnixTime};
use cofrap_crypto::{Keyring, SharedSecret, TokenKeys};

/// Tells the time.
pub trait Clock {
    /// This moment.
    fn now(&self) -> UnixTime;
}

/// Everything that an operation needs and does not get from its caller's request. Nothing else is ambient.
pub struct Env<S, C, R, K> {
    /// Where accounts are kept.
    pub store: S,
    /// What time it is.
    pub clock: C,
    /// Where secrets come from.
    pub rng: R,
    /// The keys that this operation needs, and no others.
    pub keys: K,
    /// Who asks, for the audit.
    pub caller: Caller,
    /// What the operator may choose.
    pub settings: Settings,
}

/// The keys of a login.
pub struct LoginKeys {
    /// What protects stored secrets.
    pub keyring: Keyring,
    /// What signs sessions and tickets.
    pub tokens: TokenKeys,
}

/// The keys of a generation.
pub struct GenerationKeys {
    /// What protects stored secrets.
    pub keyring: Keyring,
    /// What verifies sessions and tickets.
    pub tokens: TokenKeys,
    /// What tells the operator from others, if there is one.
    pub operator: Option<SharedSecret>,
}

/// The keys of an operator's action on accounts.
pub struct AdministrationKeys {
    /// What protects stored secrets.
    pub keyring: Keyring,
    /// What tells the operator from others, if there is one.
    pub operator: Option<SharedSecret>,
}

/// The key of a monitoring system.
pub struct MetricsKeys {
    /// What tells it from others, if there is one.
    pub token: Option<SharedSecret>,
}

/// The key of an operator's look at what happened.
pub struct OperatorKeys {
    /// What tells the operator from others, if there is one.
    pub operator: Option<SharedSecret>,
}
