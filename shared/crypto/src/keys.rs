//! Secret keys as an operator writes them: a comma-separated list, each 32 bytes in base64.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE};
use core::fmt;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes in a key. Fernet specification, "Key Format".
const KEY_BYTES: usize = 32;

/// The sample key that the first specification printed; also met cut to 32 bytes and encoded.
const SAMPLE_TEXT: &[u8] = b"votre-cle-secrete-jwt-super-securisee";

/// The key of the published Fernet test vectors.
const SAMPLE_FERNET_SPEC: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

/// Why a text is no list of keys. Every message says what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyListError {
    /// The list has no key, or one of its places is empty.
    #[error("no key is given: make one with `openssl rand -base64 32`")]
    Missing,
    /// A key is not base64.
    #[error("key {position} of the list is not base64: make one with `openssl rand -base64 32`")]
    NotBase64 {
        /// Its place in the list, from 1.
        position: usize,
    },
    /// A key has another length than 32 bytes.
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

/// What a key is called where it cannot be shown: 16 hexadecimal digits that only the key leads to.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyId(String);

impl KeyId {
    /// A name as it was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

/// One key of a list. It is never used itself: Fernet aside, every purpose has a key derived for it alone.
pub(crate) struct SecretKey(Zeroizing<[u8; KEY_BYTES]>);

impl SecretKey {
    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The key for one purpose. RFC 5869, section 2.3: the key is uniform, so nothing needs extracting.
    pub(crate) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::from_prk(&*self.0)
            .and_then(|hkdf| hkdf.expand(purpose.as_bytes(), &mut *derived).map_err(|_| hkdf::InvalidPrkLength))
            .expect("a key of 32 bytes gives as many");
        derived
    }

    pub(crate) fn id(&self) -> KeyId {
        KeyId(crate::hexadecimal(&self.derive("cofrap key id v1")[..8]))
    }
}

/// Reads a comma-separated list of keys, each 32 bytes in base64, standard or URL-safe, padded or not.
pub(crate) fn read_list(list: &str) -> Result<Vec<SecretKey>, KeyListError> {
    (1..).zip(list.split(',')).map(|(position, text)| read_key(text.trim(), position)).collect()
}

fn read_key(text: &str, position: usize) -> Result<SecretKey, KeyListError> {
    if text.is_empty() {
        return Err(KeyListError::Missing);
    }
    if text.as_bytes() == SAMPLE_TEXT {
        return Err(KeyListError::Sample { position });
    }
    let bytes = decode_base64(text).ok_or(KeyListError::NotBase64 { position })?;
    let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
        .map_err(|_| KeyListError::WrongLength { position, bytes: bytes.len() })?;
    if is_sample(&key) {
        return Err(KeyListError::Sample { position });
    }
    Ok(SecretKey(Zeroizing::new(key)))
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

    const KEY: [u8; 32] = *b"three blind mice, see how they r";

    #[test]
    fn every_spelling_of_a_key_is_the_same_key() {
        for spelling in [
            STANDARD.encode(KEY),
            STANDARD_NO_PAD.encode(KEY),
            URL_SAFE.encode(KEY),
            format!(" {}\n", URL_SAFE_NO_PAD.encode(KEY)),
        ] {
            assert_eq!(read_list(&spelling).unwrap_or_default()[0].bytes(), &KEY);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_remedy() {
        let sample = |position| KeyListError::Sample { position };
        for (list, expected) in [
            (String::new(), KeyListError::Missing),
            (format!("{},", STANDARD.encode(KEY)), KeyListError::Missing),
            ("not base64!".into(), KeyListError::NotBase64 { position: 1 }),
            (STANDARD.encode(&KEY[1..]), KeyListError::WrongLength { position: 1, bytes: 31 }),
            (STANDARD.encode([0; 32]), sample(1)),
            (STANDARD.encode((0..32).collect::<Vec<u8>>()), sample(1)),
            (String::from_utf8(SAMPLE_TEXT.into()).unwrap(), sample(1)),
            (STANDARD.encode(&SAMPLE_TEXT[..32]), sample(1)),
            (format!("{},{SAMPLE_FERNET_SPEC}", STANDARD.encode(KEY)), sample(2)),
        ] {
            let error = read_list(&list).err().unwrap();
            assert_eq!(error, expected);
            assert!(error.to_string().contains("openssl rand -base64 32"));
        }
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let key = &read_list(&STANDARD.encode(KEY)).unwrap_or_default()[0];
        assert_ne!(key.derive("one"), key.derive("two"));
        assert_eq!(key.id().as_str().len(), 16);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text: String) {
            let _ = read_list(&text);
        }
    }
}
