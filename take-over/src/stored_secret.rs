//! How other programs stored a secret, and how it is stored from now on.

use cofrap_accounts::{PasswordStorage, UnixTime};
use cofrap_crypto::{Keyring, Password, PasswordHash, SealContext, Sealed};
use rand_core::CryptoRng;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Characters that a column of a secret holds.
const COLUMN_LENGTH: usize = 255;

/// Bytes of the longest text whose Fernet token fits such a column.
pub(crate) const LONGEST_SEALED: usize = 127;

/// How every Fernet token starts: its version, and a time before the year 2106.
const TOKEN_START: &str = "gAAAAA";

/// Characters of the token of an empty text, which also replaces a second factor that does not fit its column.
pub(crate) const SHORTEST_TOKEN: usize = 100;

/// A secret as another program stored it.
pub(crate) enum StoredSecret<'a> {
    /// A Fernet token that a key decrypts, with its clear text.
    Sealed(Zeroizing<String>),
    /// A bcrypt hash.
    Hashed(Cow<'a, str>),
    InClear(&'a str),
    /// A text that no key decrypts and no program verifies. It stays.
    Unreadable(&'a str),
}

impl<'a> StoredSecret<'a> {
    /// A password. Some programs stored the printed form of the bytes of a hash or token; it counts as the hash or token.
    pub(crate) fn password(text: &'a str, keyring: &Keyring) -> Self {
        let plain = from_printed_bytes(text);
        if PasswordHash::is_claimed_by(&plain) {
            return if PasswordHash::parse(&plain).is_ok() { Self::Hashed(plain) } else { Self::Unreadable(text) };
        }
        if looks_like_a_hash(&plain) { Self::Unreadable(text) } else { Self::secret(text, keyring) }
    }

    pub(crate) fn secret(text: &'a str, keyring: &Keyring) -> Self {
        let plain = from_printed_bytes(text);
        if text.is_empty() {
            Self::Unreadable(text)
        } else if plain.starts_with(TOKEN_START) {
            keyring.open_foreign(&plain).map_or(Self::Unreadable(text), Self::Sealed)
        } else {
            Self::InClear(text)
        }
    }

    /// The clear text, if it can be read.
    pub(crate) fn clear(&self) -> Option<&str> {
        match self {
            Self::Sealed(clear) => Some(clear),
            Self::InClear(clear) => Some(clear),
            Self::Hashed(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether it should be stored in another form than it is.
    pub(crate) fn differs_from(&self, stored: &str) -> bool {
        match self {
            Self::InClear(_) => true,
            Self::Sealed(_) => !stored.starts_with(TOKEN_START),
            Self::Hashed(hash) => hash != stored,
            Self::Unreadable(_) => false,
        }
    }

    /// Whether the password fits its column only as a hash, or is longer than a request may give.
    pub(crate) fn is_long(&self) -> bool {
        self.clear().is_some_and(|clear| clear.len() > LONGEST_SEALED || clear.chars().count() > Password::MAX_LENGTH)
    }

    fn is_hashed_under(&self, storage: PasswordStorage) -> bool {
        self.is_long() || (storage == PasswordStorage::Hashed && matches!(self, Self::InClear(_)))
    }

    /// How the password is stored from now on: clear text as `storage` says, but always hashed if it is too long.
    pub(crate) fn protect_password(
        &self,
        storage: PasswordStorage,
        keyring: &Keyring,
        rng: &mut impl CryptoRng,
        now: UnixTime,
        context: SealContext<'_>,
    ) -> Sealed {
        match self {
            Self::Hashed(hash) => keyring.protect_hash(hash.clone().into_owned(), context),
            Self::InClear(_) | Self::Sealed(_) if self.is_hashed_under(storage) => {
                let clear = self.clear().unwrap_or_default();
                keyring.protect_hash(PasswordHash::of_taken_over(clear, rng, || {}), context)
            }
            // One that does not fit its column is replaced by an empty text, which no password matches.
            Self::Unreadable(text) if text.chars().count() > COLUMN_LENGTH => {
                Sealed::from_stored(String::new(), None, None)
            }
            Self::Sealed(_) | Self::InClear(_) | Self::Unreadable(_) => self.protect(keyring, now, context),
        }
    }

    /// How the secret is stored from now on. One that does not fit its column is replaced by the token of an empty text, so that the account
    /// does not count as one without a second factor.
    pub(crate) fn protect(&self, keyring: &Keyring, now: UnixTime, context: SealContext<'_>) -> Sealed {
        let clear = match self {
            Self::Unreadable(text) if text.chars().count() <= COLUMN_LENGTH => {
                return Sealed::from_stored((*text).to_owned(), None, None);
            }
            Self::Unreadable(_) | Self::Hashed(_) => "",
            Self::Sealed(_) | Self::InClear(_) => {
                self.clear().filter(|clear| clear.len() <= LONGEST_SEALED).unwrap_or("")
            }
        };
        keyring.seal(clear, now.unsigned_seconds(), context)
    }
}

/// Whether a text is another program's hash of a password, as far as that shows: a digest of MD5, SHA-1 or SHA-2 in hexadecimal, or a
/// format that says what it is (crypt's `$id$`, Django's `algorithm$`, LDAP's `{SCHEME}`). Compared as a password in clear it would let
/// in whoever has read it.
fn looks_like_a_hash(text: &str) -> bool {
    const DIGEST_LENGTHS: [usize; 6] = [32, 40, 56, 64, 96, 128];
    const NAMES: [&str; 10] =
        ["argon2", "pbkdf2", "scrypt", "bcrypt", "sha1$", "sha256", "sha512", "md5", "{ssha", "{sha"];
    let is_digest = DIGEST_LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let lower = text.to_ascii_lowercase();
    let is_named =
        NAMES.iter().any(|name| lower.trim_start_matches('$').starts_with(name)) && text.contains(['$', '}']);
    let is_crypt = ["$1$", "$5$", "$6$", "$7$", "$y$"].iter().any(|id| text.starts_with(id));
    is_digest || is_named || is_crypt
}

/// Whether there are Fernet tokens, and no key decrypts any of them.
pub(crate) fn opens_none<'a>(keyring: &Keyring, texts: impl Iterator<Item = &'a str>) -> bool {
    let is_token = |text: &Cow<'_, str>| text.starts_with(TOKEN_START) && text.len() >= SHORTEST_TOKEN;
    let mut openers = texts.map(from_printed_bytes).filter(is_token).map(|token| keyring.opener(&token)).peekable();
    openers.peek().is_some() && openers.all(|opener| opener.is_none())
}

/// The hash or token in the printed form of its bytes: Python's `b'...'` or PostgreSQL's `\x...`.
fn from_printed_bytes(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let shown = ["b'", "b\""].iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(&quote[1..]));
    let bytes = || -> Option<String> {
        let digits = text.strip_prefix("\\x").filter(|digits| digits.is_ascii() && digits.len() % 2 == 0)?;
        let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        String::from_utf8((0..digits.len()).step_by(2).map(byte).collect::<Option<_>>()?).ok()
    };
    match shown {
        Some(shown) => Cow::Borrowed(shown),
        None => bytes().map_or(Cow::Borrowed(text), Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_s_hash_is_no_password_in_clear() {
        for hash in [
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8",
            "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
            "pbkdf2_sha256$260000$salt$hash",
            "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
            "$6$salt$hash",
            "{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3",
        ] {
            assert!(looks_like_a_hash(hash), "{hash}");
        }
        for password in ["Motdepasse-1", "deadbeef", "sha256 is not my password", "$ecret-Passw0rd", "abc}def"] {
            assert!(!looks_like_a_hash(password), "{password}");
        }
    }
}
