//! Reversible protection of stored secrets: Fernet tokens, under a list of keys that can rotate.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE};
use core::fmt;
use fernet::Fernet;
use std::str::FromStr;
use zeroize::{Zeroize, Zeroizing};

/// Bytes in a key: 16 sign, 16 encrypt. Fernet specification, "Key Format".
const KEY_BYTES: usize = 32;

/// A moment so late that no token is stamped after it: Fernet implementations only judge a token's age when they are
/// given a time to live, the crate judges its future even without one.
const END_OF_TIME: u64 = u64::MAX - 60;

/// The sample key that the first specification printed; also met cut to 32 bytes and encoded.
const SAMPLE_TEXT: &[u8] = b"votre-cle-secrete-jwt-super-securisee";

/// The key of the published Fernet test vectors.
const SAMPLE_FERNET_SPEC: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

/// The keys that protect what is stored: the first seals, all open.
pub struct Keyring(Vec<Fernet>);

/// A stored secret as a Fernet token: what the database sees.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

/// Why a text is no keyring. Every message says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The list has no key, or one of its places is empty.
    #[error("no key is given: make one with `openssl rand -base64 32`")]
    Missing,
    /// A key is not base64.
    #[error("key {position} of the list is not base64: make one with `openssl rand -base64 32`")]
    NotBase64 {
        /// Its place in the list, from 1.
        position: usize,
    },
    /// A key has another length than Fernet asks.
    #[error("key {position} of the list has {bytes} bytes instead of 32: make one with `openssl rand -base64 32`")]
    WrongLength {
        /// Its place in the list, from 1.
        position: usize,
        /// The length it has.
        bytes: usize,
    },
    /// A key that anyone can read in a document, or guess.
    #[error("key {position} of the list is a published sample: make your own with `openssl rand -base64 32`")]
    Sample {
        /// Its place in the list, from 1.
        position: usize,
    },
}

/// The token was altered, or sealed under a key that is not in the ring.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was altered or sealed under another key")]
pub struct OpenError;

impl Keyring {
    /// Protects a text, stamped with `unix_seconds`. A Fernet token, readable by every implementation that has the key.
    #[must_use]
    pub fn seal(&self, clear: &str, unix_seconds: u64) -> Sealed {
        Sealed(self.0[0].encrypt_at_time(clear.as_bytes(), unix_seconds))
    }

    /// Reads a token back, whatever its age.
    ///
    /// # Errors
    /// [`OpenError`] when no key of the ring opens it, or it holds no UTF-8.
    pub fn open(&self, sealed: &Sealed) -> Result<Zeroizing<String>, OpenError> {
        let bytes =
            self.0.iter().find_map(|key| key.decrypt_at_time(&sealed.0, None, END_OF_TIME).ok()).ok_or(OpenError)?;
        String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
            error.into_bytes().zeroize();
            OpenError
        })
    }
}

impl FromStr for Keyring {
    type Err = KeyringError;

    /// Reads a comma-separated list of keys, each 32 bytes in base64, standard or URL-safe, padded or not.
    fn from_str(list: &str) -> Result<Self, KeyringError> {
        (1..)
            .zip(list.split(','))
            .map(|(position, text)| read_key(text.trim(), position))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys, redacted)", self.0.len())
    }
}

impl Sealed {
    /// A token as it was stored; whether it opens is for [`Keyring::open`] to say.
    #[must_use]
    pub fn from_stored(token: String) -> Self {
        Self(token)
    }

    /// The token's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(redacted)")
    }
}

fn read_key(text: &str, position: usize) -> Result<Fernet, KeyringError> {
    if text.is_empty() {
        return Err(KeyringError::Missing);
    }
    if text.as_bytes() == SAMPLE_TEXT {
        return Err(KeyringError::Sample { position });
    }
    let bytes = decode_base64(text).ok_or(KeyringError::NotBase64 { position })?;
    if bytes.len() != KEY_BYTES {
        return Err(KeyringError::WrongLength { position, bytes: bytes.len() });
    }
    if is_sample(&bytes) {
        return Err(KeyringError::Sample { position });
    }
    Ok(Fernet::new(&Zeroizing::new(URL_SAFE.encode(&*bytes))).expect("32 bytes are a Fernet key"))
}

fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(text).ok())
        .map(Zeroizing::new)
}

/// Whether anyone could know this key: printed in a document, one byte repeated, or bytes that count up.
fn is_sample(key: &[u8]) -> bool {
    let counts_up_by = |step: u8| key.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(step));
    counts_up_by(0)
        || counts_up_by(1)
        || key == &SAMPLE_TEXT[..KEY_BYTES]
        || URL_SAFE.decode(SAMPLE_FERNET_SPEC).is_ok_and(|sample| sample == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde::Deserialize;

    /// A token of the published Fernet test vectors.
    #[derive(Deserialize)]
    struct Vector {
        token: String,
        #[serde(default)]
        src: String,
        #[serde(default)]
        desc: String,
        secret: String,
    }

    fn vectors(json: &str) -> Vec<Vector> {
        serde_json::from_str(json).unwrap()
    }

    /// The published key, past the check that refuses it.
    fn published_keyring(vector: &Vector) -> Keyring {
        Keyring(vec![Fernet::new(&vector.secret).unwrap()])
    }

    fn keyring(bytes: [u8; 32]) -> Keyring {
        Keyring(vec![Fernet::new(&URL_SAFE.encode(bytes)).unwrap()])
    }

    const KEY: [u8; 32] = *b"three blind mice, see how they r";

    #[test]
    fn the_published_tokens_open() {
        let published =
            [include_str!("../vectors/fernet-verify.json"), include_str!("../vectors/fernet-generate.json")];
        for vector in published.into_iter().flat_map(vectors) {
            let clear = published_keyring(&vector).open(&Sealed(vector.token.clone())).unwrap();
            assert_eq!(*clear, vector.src);
        }
    }

    #[test]
    fn the_published_invalid_tokens_do_not_open_but_for_their_age() {
        for vector in vectors(include_str!("../vectors/fernet-invalid.json")) {
            let judged_by_age = vector.desc.contains("TS") || vector.desc.contains("TTL");
            let opened = published_keyring(&vector).open(&Sealed(vector.token.clone()));
            assert_eq!(opened.is_ok(), judged_by_age, "{}", vector.desc);
        }
    }

    #[test]
    fn every_spelling_of_a_key_is_the_same_key() {
        let sealed = keyring(KEY).seal("hello", 0);
        for spelling in [
            STANDARD.encode(KEY),
            STANDARD_NO_PAD.encode(KEY),
            URL_SAFE.encode(KEY),
            format!(" {}\n", URL_SAFE_NO_PAD.encode(KEY)),
        ] {
            assert_eq!(*spelling.parse::<Keyring>().unwrap().open(&sealed).unwrap(), "hello");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) =
            (STANDARD.encode(KEY), STANDARD.encode([KEY[1]; 16].iter().chain(&KEY[..16]).copied().collect::<Vec<_>>()));
        let rotated: Keyring = format!("{new},{old}").parse().unwrap();
        let old: Keyring = old.parse().unwrap();
        assert_eq!(*rotated.open(&old.seal("hello", 0)).unwrap(), "hello");
        assert_eq!(old.open(&rotated.seal("hello", 0)), Err(OpenError));
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_remedy() {
        let sample = |position| KeyringError::Sample { position };
        for (list, expected) in [
            (String::new(), KeyringError::Missing),
            (format!("{},", STANDARD.encode(KEY)), KeyringError::Missing),
            ("not base64!".into(), KeyringError::NotBase64 { position: 1 }),
            (STANDARD.encode(&KEY[1..]), KeyringError::WrongLength { position: 1, bytes: 31 }),
            (STANDARD.encode([0; 32]), sample(1)),
            (STANDARD.encode((0..32).collect::<Vec<u8>>()), sample(1)),
            (String::from_utf8(SAMPLE_TEXT.into()).unwrap(), sample(1)),
            (STANDARD.encode(&SAMPLE_TEXT[..32]), sample(1)),
            (format!("{},{SAMPLE_FERNET_SPEC}", STANDARD.encode(KEY)), sample(2)),
        ] {
            let error = list.parse::<Keyring>().err().unwrap();
            assert_eq!(error, expected);
            assert!(error.to_string().contains("openssl rand -base64 32"));
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again_and_never_twice_the_same(clear: String, at in 0..=u64::from(u32::MAX)) {
            let keyring = keyring(KEY);
            let sealed = keyring.seal(&clear, at);
            prop_assert_eq!(&*keyring.open(&sealed).unwrap(), &clear);
            prop_assert_ne!(sealed, keyring.seal(&clear, at));
        }

        #[test]
        fn a_flipped_byte_does_not_open(position in 0_usize..100, bit in 0_u32..6) {
            let keyring = keyring(KEY);
            let mut token = keyring.seal("twenty-four characters !", 0).as_str().as_bytes().to_vec();
            let byte = token[position];
            let flipped = alphabet::URL_SAFE.as_str().bytes().cycle().skip_while(|c| *c != byte).nth(1 << bit).unwrap();
            token[position] = flipped;
            prop_assert_eq!(keyring.open(&Sealed(String::from_utf8(token).unwrap())), Err(OpenError));
        }

        #[test]
        fn reading_never_panics(text: String) {
            let _ = text.parse::<Keyring>();
            let _ = keyring(KEY).open(&Sealed(text));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let keyring = keyring(KEY);
        assert_eq!(format!("{:?}", keyring.seal("hello", 0)), "Sealed(redacted)");
        assert_eq!(format!("{keyring:?}"), "Keyring(1 keys, redacted)");
    }
}
