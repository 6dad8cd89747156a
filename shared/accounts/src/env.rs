//! What every operation is given.

use crate::{Age, Caller, UnixTime};
use cofrap_crypto::Keyring;

/// Tells the time.
pub trait Clock {
    /// This moment.
    fn now(&self) -> UnixTime;
}

/// Everything that an operation needs and does not get from its caller's request. Nothing else is ambient.
pub struct Env<S, C, R> {
    /// Where accounts are kept.
    pub store: S,
    /// What time it is.
    pub clock: C,
    /// Where secrets come from.
    pub rng: R,
    /// What protects stored secrets.
    pub keyring: Keyring,
    /// Who asks, for the audit.
    pub caller: Caller,
    /// What the operator may choose.
    pub settings: Settings,
}

/// What the operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How old a password or a second factor may be; strictly older has expired.
    pub password_max_age: Age,
}
