//! How a secret is kept where it is found, and how it is kept from now on.

use cofrap_accounts::{PasswordStorage, UnixTime};
use cofrap_crypto::{Keyring, Password, PasswordHash, SealContext, Sealed};
use rand_core::CryptoRng;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Characters that a column of a secret holds.
const COLUMN_LENGTH: usize = 255;

/// Bytes of the longest text whose Fernet token fits such a column.
pub(super) const LONGEST_SEALED: usize = 127;

/// How every Fernet token starts: its version, and a time before the year 2106.
const TOKEN_START: &str = "gAAAAA";

/// Characters of the shortest Fernet token, which says nothing: it also stands in the place of a second factor that fits no column.
pub(super) const SHORTEST_TOKEN: usize = 100;

/// How a secret is kept where it is found.
pub(super) enum Kept<'a> {
    /// A Fernet token that a key opens: what it says.
    Sealed(Zeroizing<String>),
    /// A bcrypt hash.
    Hashed(Cow<'a, str>),
    InClear(&'a str),
    /// What nobody can read; it stays as it is.
    Unreadable(&'a str),
}

impl<'a> Kept<'a> {
    /// A password. Programs that wrote bytes where text belongs left hashes and tokens in their own spelling; that is what they
    /// are all the same.
    pub(super) fn password(text: &'a str, keyring: &Keyring) -> Self {
        let plain = plain_spelling(text);
        if PasswordHash::is_claimed_by(&plain) {
            return if PasswordHash::parse(&plain).is_ok() { Self::Hashed(plain) } else { Self::Unreadable(text) };
        }
        if looks_like_a_hash(&plain) { Self::Unreadable(text) } else { Self::secret(text, keyring) }
    }

    pub(super) fn secret(text: &'a str, keyring: &Keyring) -> Self {
        let plain = plain_spelling(text);
        if text.is_empty() {
            Self::Unreadable(text)
        } else if plain.starts_with(TOKEN_START) {
            keyring.open_foreign(&plain).map_or(Self::Unreadable(text), Self::Sealed)
        } else {
            Self::InClear(text)
        }
    }

    /// What it says, as far as that can be read.
    pub(super) fn clear(&self) -> Option<&str> {
        match self {
            Self::Sealed(clear) => Some(clear),
            Self::InClear(clear) => Some(clear),
            Self::Hashed(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether what it should be stored as is not what stands there.
    pub(super) fn differs_from(&self, stored: &str) -> bool {
        match self {
            Self::InClear(_) => true,
            Self::Sealed(_) => !stored.starts_with(TOKEN_START),
            Self::Hashed(hash) => hash != stored,
            Self::Unreadable(_) => false,
        }
    }

    /// Whether it is a password that only fits its column as a hash, or that is longer than any request may give.
    pub(super) fn is_long(&self) -> bool {
        self.clear().is_some_and(|clear| clear.len() > LONGEST_SEALED || clear.chars().count() > Password::MAX_LENGTH)
    }

    fn is_hashed_under(&self, scheme: PasswordStorage) -> bool {
        self.is_long() || (scheme == PasswordStorage::Hashed && matches!(self, Self::InClear(_)))
    }

    /// How a password is stored from now on: what was in clear as `scheme` says, unless it is too long to be anything but a hash.
    pub(super) fn protect_password(
        &self,
        scheme: PasswordStorage,
        keyring: &Keyring,
        rng: &mut impl CryptoRng,
        now: UnixTime,
        place: SealContext<'_>,
    ) -> Sealed {
        match self {
            Self::Hashed(hash) => keyring.protect_hash(hash.clone().into_owned(), place),
            Self::InClear(_) | Self::Sealed(_) if self.is_hashed_under(scheme) => {
                let clear = self.clear().unwrap_or_default();
                keyring.protect_hash(PasswordHash::of_taken_over(clear, rng, || {}), place)
            }
            // One that does not fit its column leaves nothing there: an empty one opens nothing.
            Self::Unreadable(text) if text.chars().count() > COLUMN_LENGTH => {
                Sealed::from_stored(String::new(), None, None)
            }
            Self::Sealed(_) | Self::InClear(_) | Self::Unreadable(_) => self.protect(keyring, now, place),
        }
    }

    /// How a secret is stored from now on. One that does not fit its column leaves a token there that says nothing, so that nobody
    /// takes the account for one without.
    pub(super) fn protect(&self, keyring: &Keyring, now: UnixTime, place: SealContext<'_>) -> Sealed {
        let clear = match self {
            Self::Unreadable(text) if text.chars().count() <= COLUMN_LENGTH => {
                return Sealed::from_stored((*text).to_owned(), None, None);
            }
            Self::Unreadable(_) | Self::Hashed(_) => "",
            Self::Sealed(_) | Self::InClear(_) => {
                self.clear().filter(|clear| clear.len() <= LONGEST_SEALED).unwrap_or("")
            }
        };
        keyring.seal(clear, now.unsigned_seconds(), place)
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

/// Whether there are Fernet tokens, and no key opens any of them.
pub(super) fn opens_none<'a>(keyring: &Keyring, texts: impl Iterator<Item = &'a str>) -> bool {
    let is_token = |text: &Cow<'_, str>| text.starts_with(TOKEN_START) && text.len() >= SHORTEST_TOKEN;
    let mut openers = texts.map(plain_spelling).filter(is_token).map(|token| keyring.opener(&token)).peekable();
    openers.peek().is_some() && openers.all(|opener| opener.is_none())
}

/// A hash or a token as text, where it was stored as the bytes that make it up: `b'...'` as Python shows them, `\x...` as PostgreSQL does.
fn plain_spelling(text: &str) -> Cow<'_, str> {
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
