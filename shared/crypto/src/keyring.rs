//! Reversible encryption of stored secrets: Fernet tokens under a list of keys that can rotate. A MAC binds each token to its column and account.

use crate::keys::{KeyId, KeyListError, SecretKey, read_list};
use crate::sealed::{RowMac, SealContext, Sealed};
use crate::tokens::TokenKeys;
use crate::{DigestKey, HashMatch, Password, PasswordHash, Pause, UnhashablePassword};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use core::fmt;
use fernet::Fernet;
use hmac::{Hmac, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use std::str::FromStr;
use zeroize::{Zeroize, Zeroizing};

/// The time that decryption is given as the present. The `fernet` crate refuses tokens from the future even without a time to live, and this
/// one is later than any token's time stamp.
const END_OF_TIME: u64 = u64::MAX - 60;

/// The keys that encrypt stored secrets. The first key encrypts; every key decrypts.
pub struct Keyring {
    keys: Vec<Key>,
    unbound: Unbound,
    pause: Pause,
}

struct Key {
    id: KeyId,
    fernet: Fernet,
    for_macs: Zeroizing<[u8; 32]>,
}

/// Whether a stored secret without a MAC is accepted. Other programs write secrets without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// It is decrypted, and gets a MAC when it is next written.
    Accepted,
    /// It is not decrypted.
    Refused,
}

/// A decrypted secret.
pub struct Opened {
    /// The clear text.
    pub clear: Zeroizing<String>,
    /// Whether it is encrypted under the first key and has a MAC. If not, the caller should encrypt it again when it writes the row.
    pub is_current: bool,
}

/// A stored password. Its text tells how it is verified.
#[derive(Debug)]
pub enum StoredPassword {
    /// A decrypted Fernet token.
    Sealed(Opened),
    /// A bcrypt hash.
    Hashed {
        /// The hash.
        hash: PasswordHash,
        /// As [`Opened::is_current`].
        is_current: bool,
    },
}

/// The token was altered, is encrypted under a key that is not in the list, or belongs to another column or account.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was altered, is encrypted under an unknown key, or belongs to another row")]
pub struct OpenError;

impl Keyring {
    /// The same keys with another rule for secrets without a MAC.
    #[must_use]
    pub fn with_unbound(self, unbound: Unbound) -> Self {
        Self { unbound, ..self }
    }

    /// The same keys with a function that is called every few milliseconds while a password is hashed.
    #[must_use]
    pub fn with_pause(self, pause: Pause) -> Self {
        Self { pause, ..self }
    }

    /// Encrypts a text for one column of one account, with the time stamp `unix_seconds`. Every Fernet implementation that has the key
    /// can decrypt the token.
    #[must_use]
    pub fn seal(&self, clear: &str, unix_seconds: u64, context: SealContext<'_>) -> Sealed {
        let key = self.first();
        let token = key.fernet.encrypt_at_time(clear.as_bytes(), unix_seconds);
        let mac = key.token_mac(context, &token);
        Sealed::from_stored(token, Some(key.id.clone()), Some(mac))
    }

    /// The same token with the MAC of another column: the password history keeps a copy. The token must be encrypted under the first key.
    #[must_use]
    pub fn seal_for_history(&self, sealed: &Sealed, context: SealContext<'_>) -> Sealed {
        let mac = self.first().token_mac(context, sealed.token());
        Sealed::from_stored(sealed.token().to_owned(), sealed.key().cloned(), Some(mac))
    }

    /// Decrypts a token of any age.
    ///
    /// # Errors
    /// [`OpenError`] when no key decrypts it, its MAC is for another column or account, it has no MAC and that is refused, or it holds
    /// no UTF-8.
    pub fn open(&self, sealed: &Sealed, context: SealContext<'_>) -> Result<Opened, OpenError> {
        let (key, clear) = self.decrypt(sealed.token())?;
        match sealed.mac() {
            Some(mac) if key.verifies(mac, &token_parts(context, sealed.token())) => {}
            None if self.unbound == Unbound::Accepted => {}
            Some(_) | None => return Err(OpenError),
        }
        let is_current = key.id == self.first().id && sealed.mac().is_some() && sealed.key() == Some(&key.id);
        Ok(Opened { clear, is_current })
    }

    /// Gives a bcrypt hash its MAC. The hash itself stays readable.
    #[must_use]
    pub fn protect_hash(&self, hash: String, context: SealContext<'_>) -> Sealed {
        let key = self.first();
        let mac = key.token_mac(context, &hash);
        Sealed::from_stored(hash, Some(key.id.clone()), Some(mac))
    }

    /// Decrypts a token of another program's table, where no MACs exist.
    ///
    /// # Errors
    /// [`OpenError`] when no key decrypts it, or it holds no UTF-8.
    pub fn open_foreign(&self, token: &str) -> Result<Zeroizing<String>, OpenError> {
        self.decrypt(token).map(|(_, clear)| clear)
    }

    fn decrypt(&self, token: &str) -> Result<(&Key, Zeroizing<String>), OpenError> {
        let open = |key: &Key| key.fernet.decrypt_at_time(token, None, END_OF_TIME).ok();
        let (key, bytes) = self.keys.iter().find_map(|key| Some((key, open(key)?))).ok_or(OpenError)?;
        let clear = String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
            error.into_bytes().zeroize();
            OpenError
        })?;
        Ok((key, clear))
    }

    /// Hashes a password for one column of one account.
    ///
    /// # Errors
    /// [`UnhashablePassword`]
    pub fn hash(
        &self,
        password: &Password,
        context: SealContext<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, UnhashablePassword> {
        Ok(self.protect_hash(PasswordHash::of(password, rng, self.pause)?, context))
    }

    /// Compares a password with a hash.
    #[must_use]
    pub fn verify(&self, hash: &PasswordHash, password: &Password) -> HashMatch {
        hash.verify(password, self.pause)
    }

    /// Does the work of [`Self::verify`] where there is no hash, so that both take the same time.
    pub fn pay_for_a_hash(&self, password: &Password) {
        PasswordHash::pay(password, self.pause);
    }

    /// Reads a stored password, which is a bcrypt hash or a Fernet token.
    ///
    /// # Errors
    /// As [`Self::open`], and for what only claims to be a bcrypt hash.
    pub fn read_password(&self, stored: &Sealed, context: SealContext<'_>) -> Result<StoredPassword, OpenError> {
        if !PasswordHash::is_claimed_by(stored.token()) {
            return self.open(stored, context).map(StoredPassword::Sealed);
        }
        let hash = PasswordHash::parse(stored.token()).map_err(|_| OpenError)?;
        let is_current = match stored.mac() {
            Some(mac) => {
                let parts = token_parts(context, stored.token());
                let key = self.keys.iter().find(|key| key.verifies(mac, &parts)).ok_or(OpenError)?;
                key.id == self.first().id && stored.key() == Some(&key.id)
            }
            None if self.unbound == Unbound::Accepted => false,
            None => return Err(OpenError),
        };
        Ok(StoredPassword::Hashed { hash, is_current })
    }

    /// What should replace a stored password: the same password under the first key, with a MAC. None if it is stored so already.
    ///
    /// # Errors
    /// As [`Self::read_password`].
    pub fn refresh_password(
        &self,
        stored: &Sealed,
        unix_seconds: u64,
        context: SealContext<'_>,
    ) -> Result<Option<Sealed>, OpenError> {
        Ok(match self.read_password(stored, context)? {
            StoredPassword::Sealed(Opened { is_current: true, .. })
            | StoredPassword::Hashed { is_current: true, .. } => None,
            StoredPassword::Sealed(opened) => Some(self.seal(&opened.clear, unix_seconds, context)),
            StoredPassword::Hashed { .. } => Some(self.protect_hash(stored.token().to_owned(), context)),
        })
    }

    /// The MAC of an account's status.
    #[must_use]
    pub fn status_mac(&self, owner: &str, status: &str) -> RowMac {
        self.first().row_mac(&["users_v2", owner, status])
    }

    /// The key for digests of names and addresses.
    #[must_use]
    pub fn digest_key(&self) -> DigestKey {
        let of = |key: &Key| Zeroizing::new(key.mac(&["subject key"]).finalize().into_bytes().into());
        DigestKey::new(self.keys.iter().map(of).collect())
    }

    /// Whether the MAC of an account's status is right under any key.
    #[must_use]
    pub fn verifies_status(&self, owner: &str, status: &str, mac: Option<&RowMac>) -> bool {
        match mac {
            Some(mac) => self.keys.iter().any(|key| key.verifies(mac, &["users_v2", owner, status])),
            None => self.unbound == Unbound::Accepted,
        }
    }

    /// The name of the key that encrypts.
    #[must_use]
    pub fn first_id(&self) -> &KeyId {
        &self.first().id
    }

    /// Whether a key of that name is in the list.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_str() == id)
    }

    /// The name of the key that decrypts a token. Its MAC is not checked.
    #[must_use]
    pub fn opener(&self, token: &str) -> Option<&KeyId> {
        let opens = |key: &&Key| key.fernet.decrypt_at_time(token, None, END_OF_TIME).map(Zeroizing::new).is_ok();
        self.keys.iter().find(opens).map(|key| &key.id)
    }

    /// Whether one of the keys also signs tokens. The configuration refuses that: each key has one purpose.
    #[must_use]
    pub fn shares_a_key_with(&self, tokens: &TokenKeys) -> bool {
        self.keys.iter().any(|key| tokens.has(&key.id))
    }

    fn first(&self) -> &Key {
        &self.keys[0]
    }
}

fn token_parts<'a>(context: SealContext<'a>, token: &'a str) -> [&'a str; 3] {
    [context.column(), context.owner(), token]
}

impl Key {
    fn new(key: &SecretKey) -> Self {
        let fernet = Fernet::new(&Zeroizing::new(URL_SAFE.encode(key.bytes()))).expect("32 bytes are a Fernet key");
        Self { id: key.id(), fernet, for_macs: key.derive("cofrap binding v1") }
    }

    fn token_mac(&self, context: SealContext<'_>, token: &str) -> RowMac {
        self.row_mac(&token_parts(context, token))
    }

    fn row_mac(&self, parts: &[&str]) -> RowMac {
        RowMac::from_stored(URL_SAFE_NO_PAD.encode(self.mac(parts).finalize().into_bytes()))
    }

    fn verifies(&self, mac: &RowMac, parts: &[&str]) -> bool {
        URL_SAFE_NO_PAD.decode(mac.as_str()).is_ok_and(|bytes| self.mac(parts).verify_slice(&bytes).is_ok())
    }

    /// Each part follows its length, so that no two lists of parts give the same MAC input.
    fn mac(&self, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.for_macs).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl FromStr for Keyring {
    type Err = KeyListError;

    /// Reads a comma-separated list of keys, each 32 bytes in base64, standard or URL-safe, padded or not.
    fn from_str(list: &str) -> Result<Self, KeyListError> {
        let keys = read_list(list)?.iter().map(Key::new).collect();
        Ok(Self { keys, unbound: Unbound::Accepted, pause: || {} })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys, redacted)", self.keys.len())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(redacted)")
    }
}

#[cfg(test)]
mod tests;
