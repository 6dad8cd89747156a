//! The keys that each kind of operation is given, and no others.

use cofrap_crypto::{Keyring, SharedSecret, TokenKeys};

/// The keys of a login.
pub struct LoginKeys {
    /// Encrypts and decrypts stored secrets.
    pub keyring: Keyring,
    /// Signs sessions, challenges and renewal tokens.
    pub tokens: TokenKeys,
}

/// The keys of an operation that issues credentials.
pub struct IssuanceKeys {
    /// Encrypts and decrypts stored secrets.
    pub keyring: Keyring,
    /// Verifies sessions, challenges and renewal tokens.
    pub tokens: TokenKeys,
    /// The operator's token, if one is configured.
    pub operator: Option<SharedSecret>,
}

/// The keys of an operator's action on accounts.
pub struct AdministrationKeys {
    /// Encrypts and decrypts stored secrets.
    pub keyring: Keyring,
    /// The operator's token, if one is configured.
    pub operator: Option<SharedSecret>,
}

/// The key of a monitoring system.
pub struct MetricsKeys {
    /// Its token, if one is configured.
    pub token: Option<SharedSecret>,
}

/// The key of an operator's look at the audit.
pub struct OperatorKeys {
    /// The operator's token, if one is configured.
    pub operator: Option<SharedSecret>,
}

/// Keys with a [`Keyring`] among them.
pub trait HasKeyring {
    /// Encrypts and decrypts stored secrets.
    fn keyring(&self) -> &Keyring;
}

impl HasKeyring for LoginKeys {
    fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

impl HasKeyring for IssuanceKeys {
    fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}

impl HasKeyring for AdministrationKeys {
    fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}
