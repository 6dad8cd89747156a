//! A secret as the database stores it: the sealed text, the name of its key, and a MAC that ties it to one column of one account.

use crate::keys::KeyId;
use core::fmt;

/// A column that holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretColumn {
    /// `users_v2.password`
    Password,
    /// `users_v2.mfa`
    SecondFactor,
    /// `users_v2.pending_mfa`
    PendingSecondFactor,
    /// `password_history_v2.password`
    PastPassword,
}

impl SecretColumn {
    const fn name(self) -> &'static str {
        match self {
            Self::Password => "users_v2.password",
            Self::SecondFactor => "users_v2.mfa",
            Self::PendingSecondFactor => "users_v2.pending_mfa",
            Self::PastPassword => "password_history_v2.password",
        }
    }

    /// This column of one account's row.
    #[must_use]
    pub const fn of(self, owner: &str) -> SealContext<'_> {
        SealContext { column: self, owner }
    }
}

/// What a secret is bound to: a column, and the name of the account.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    column: SecretColumn,
    owner: &'a str,
}

impl<'a> SealContext<'a> {
    pub(crate) const fn column(self) -> &'static str {
        self.column.name()
    }

    pub(crate) const fn owner(self) -> &'a str {
        self.owner
    }
}

/// A stored secret: a Fernet token or a bcrypt hash, the name of the key behind the token and the MAC, and the MAC. Other programs read and write
/// the token alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    token: String,
    key: Option<KeyId>,
    mac: Option<RowMac>,
}

/// A MAC over a stored value, its column and its account: a value that was copied to another row fails the check. HMAC-SHA-256 (RFC 2104)
/// under a key that is derived for this purpose alone.
#[derive(Clone, PartialEq, Eq)]
pub struct RowMac(String);

impl Sealed {
    /// The three columns as they were stored. [`crate::Keyring::open`] checks them.
    #[must_use]
    pub const fn from_stored(token: String, key: Option<KeyId>, mac: Option<RowMac>) -> Self {
        Self { token, key, mac }
    }

    /// The token's text.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The name of its key; none if another program wrote it.
    #[must_use]
    pub const fn key(&self) -> Option<&KeyId> {
        self.key.as_ref()
    }

    /// Its MAC; none if another program wrote it.
    #[must_use]
    pub const fn mac(&self) -> Option<&RowMac> {
        self.mac.as_ref()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(redacted)")
    }
}

impl RowMac {
    /// A MAC as it was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RowMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowMac(redacted)")
    }
}
