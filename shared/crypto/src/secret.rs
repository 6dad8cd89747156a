//! Secrets that are compared, and names for what shall not be kept.

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

/// A secret that an operator shares with a program, to be shown as a bearer token.
pub struct SharedSecret(Zeroizing<String>);

/// The secret has fewer than [`SharedSecret::MIN_LENGTH`] characters.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has at least {} characters: make one with `openssl rand -base64 32`", SharedSecret::MIN_LENGTH)]
pub struct SharedSecretTooShort;

impl SharedSecret {
    /// Characters that it has at least.
    pub const MIN_LENGTH: usize = 32;

    /// Takes a secret as it was configured.
    ///
    /// # Errors
    /// [`SharedSecretTooShort`]
    pub fn new(text: Zeroizing<String>) -> Result<Self, SharedSecretTooShort> {
        if text.chars().count() < Self::MIN_LENGTH { Err(SharedSecretTooShort) } else { Ok(Self(text)) }
    }

    /// What makes digests of names and addresses where there is no other key.
    #[must_use]
    pub fn subject_key(&self) -> SubjectKey {
        SubjectKey(vec![Zeroizing::new(self.mac("cofrap subjects v1"))])
    }

    /// What proves to the database that a program has the secret, and leads to nobody's.
    #[must_use]
    pub fn proof(&self) -> String {
        hexadecimal(&self.mac("cofrap operator v1"))
    }

    fn mac(&self, purpose: &str) -> [u8; 32] {
        let mut mac = keyed(self.0.as_bytes());
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Whether `shown` is the secret, in a time that depends on neither.
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

/// What makes digests of names and addresses: the first of its keys, and all of them what was written under an earlier one. Without it nobody finds out whose they are by trying all there are.
pub struct SubjectKey(Vec<Zeroizing<[u8; 32]>>);

impl SubjectKey {
    /// Of at least one key.
    pub(crate) const fn new(keys: Vec<Zeroizing<[u8; 32]>>) -> Self {
        Self(keys)
    }

    /// A name of 43 characters for a list of texts: HMAC-SHA-256 over each with its length before it, in base64url.
    #[must_use]
    pub fn digest(&self, parts: &[&str]) -> String {
        self.digests(parts).next().unwrap_or_default()
    }

    /// The same under each key, the present one first.
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

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(redacted)")
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// A name of 64 hexadecimal digits for a list of texts: SHA-256 over each with its length before it.
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
    fn lists_that_join_to_the_same_text_have_different_names() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["a"]).len(), 64);
    }

    #[test]
    fn subjects_have_other_names_under_another_key_and_the_key_is_never_shown() {
        let [one, other] = ["0", "1"].map(|text| SharedSecret::new(Zeroizing::new(text.repeat(32))).unwrap());
        assert_ne!(one.subject_key().digest(&["a"]), other.subject_key().digest(&["a"]));
        assert_ne!(one.subject_key().digest(&["ab", "c"]), one.subject_key().digest(&["a", "bc"]));
        assert_ne!(one.proof(), other.proof());
        assert_eq!(format!("{:?}", one.subject_key()), "SubjectKey(redacted)");
    }
}
