//! Shared secrets, compared in constant time, and keyed digests of names and addresses.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use core::fmt::Write;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A bearer token that the operator configures: the operator's own, or the monitoring system's.
pub struct SharedSecret(Zeroizing<String>);

/// The secret has fewer than [`SharedSecret::MIN_LENGTH`] characters.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has at least {} characters: make one with `openssl rand -base64 32`", SharedSecret::MIN_LENGTH)]
pub struct SharedSecretTooShort;

impl SharedSecret {
    /// Its least number of characters.
    pub const MIN_LENGTH: usize = 32;

    /// Takes a secret as it was configured.
    ///
    /// # Errors
    /// [`SharedSecretTooShort`]
    pub fn new(text: Zeroizing<String>) -> Result<Self, SharedSecretTooShort> {
        if text.chars().count() < Self::MIN_LENGTH { Err(SharedSecretTooShort) } else { Ok(Self(text)) }
    }

    /// The key for digests of names and addresses, for components without another key.
    #[must_use]
    pub fn digest_key(&self) -> DigestKey {
        DigestKey(vec![Zeroizing::new(self.mac("cofrap subjects v1"))])
    }

    /// A digest that proves to the database that the caller has the secret. The secret cannot be computed from it.
    #[must_use]
    pub fn proof(&self) -> String {
        hexadecimal(&self.mac("cofrap operator v1"))
    }

    fn mac(&self, purpose: &str) -> [u8; 32] {
        let mut mac = keyed(self.0.as_bytes());
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether `shown` is the secret. Takes the same time for every input.
    #[must_use]
    pub fn matches(&self, shown: &str) -> bool {
        Sha256::digest(self.0.as_bytes()).ct_eq(&Sha256::digest(shown.as_bytes())).into()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(redacted)")
    }
}

/// The key for digests of names and addresses (HMAC-SHA-256): without it nobody finds a name by hashing every candidate. The first key
/// writes; the others recognise digests that were written under earlier keys.
pub struct DigestKey(Vec<Zeroizing<[u8; 32]>>);

impl DigestKey {
    /// Of at least one key.
    #[cfg(feature = "std")]
    pub(crate) const fn new(keys: Vec<Zeroizing<[u8; 32]>>) -> Self {
        Self(keys)
    }

    /// The digest of a list of texts, 43 characters of base64url. Each text is hashed after its length.
    #[must_use]
    pub fn digest(&self, parts: &[&str]) -> String {
        self.digests(parts).next().unwrap_or_default()
    }

    /// The digest under each key, the present key first.
    pub fn digests(&self, parts: &[&str]) -> impl Iterator<Item = String> {
        self.0.iter().map(move |key| {
            let mut mac = keyed(&**key);
            for part in parts {
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part.as_bytes());
            }
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        })
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(redacted)")
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// The SHA-256 of a list of texts, 64 hexadecimal digits. Each text is hashed after its length.
#[must_use]
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hexadecimal(&hash.finalize())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn only_the_secret_matches_and_short_ones_are_none() {
        let secret = SharedSecret::new(Zeroizing::new("0123456789".repeat(4))).unwrap();
        assert!(secret.matches(&"0123456789".repeat(4)));
        assert!(!secret.matches("") && !secret.matches(&"0123456789".repeat(3)));
        assert_eq!(format!("{secret:?}"), "SharedSecret(redacted)");
        let short = SharedSecret::new(Zeroizing::new("x".repeat(31))).unwrap_err();
        assert!(short.to_string().contains("32 characters"));
    }

    #[test]
    fn lists_that_join_to_the_same_text_have_different_digests() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["a"]).len(), 64);
    }

    #[test]
    fn digests_differ_under_another_key_and_the_key_is_never_shown() {
        let [one, other] = ["0", "1"].map(|text| SharedSecret::new(Zeroizing::new(text.repeat(32))).unwrap());
        assert_ne!(one.digest_key().digest(&["a"]), other.digest_key().digest(&["a"]));
        assert_ne!(one.digest_key().digest(&["ab", "c"]), one.digest_key().digest(&["a", "bc"]));
        assert_ne!(one.proof(), other.proof());
        assert_eq!(format!("{:?}", one.digest_key()), "DigestKey(redacted)");
    }
}
