//! Reversible protection of stored secrets: Fernet tokens under a list of keys that can rotate, each bound to its place.

use crate::keys::{KeyId, KeyListError, SecretKey, read_list};
use crate::tokens::TokenKeys;
use crate::{HashMatch, Password, PasswordHash, Pause, SubjectKey, UnhashablePassword};
use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use core::fmt;
use fernet::Fernet;
use hmac::{Hmac, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use std::str::FromStr;
use zeroize::{Zeroize, Zeroizing};

/// A moment so late that no token is stamped after it: Fernet implementations only judge a token's age when they are
/// given a time to live, the crate judges its future even without one.
const END_OF_TIME: u64 = u64::MAX - 60;

/// The keys that protect what is stored: the first seals, all open.
pub struct Keyring {
    keys: Vec<Key>,
    unbound: Unbound,
    pause: Pause,
}

struct Key {
    id: KeyId,
    fernet: Fernet,
    binding: Zeroizing<[u8; 32]>,
}

/// What is done with stored secrets that have no binding: another program wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// They open, and are bound when they are next written.
    Accepted,
    /// They do not open.
    Refused,
}

/// A column that holds secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// `users_v2.password`
    Password,
    /// `users_v2.mfa`
    SecondFactor,
    /// `users_v2.pending_mfa`
    PendingSecondFactor,
    /// `password_history_v2.password`
    PastPassword,
}

impl Slot {
    const fn column(self) -> &'static str {
        match self {
            Self::Password => "users_v2.password",
            Self::SecondFactor => "users_v2.mfa",
            Self::PendingSecondFactor => "users_v2.pending_mfa",
            Self::PastPassword => "password_history_v2.password",
        }
    }

    /// The column of one account.
    #[must_use]
    pub const fn of(self, owner: &str) -> Place<'_> {
        Place { slot: self, owner }
    }
}

/// Where a secret belongs: a column, and the name of the account.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    slot: Slot,
    owner: &'a str,
}

/// A stored secret as the database sees it: a Fernet token, or a password's bcrypt hash, and beside it the name of the key that
/// sealed and bound it and the binding to its place. Other programs read and write the first alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    token: String,
    key: Option<KeyId>,
    binding: Option<Binding>,
}

/// A keyed digest that ties a value to its place. HMAC-SHA-256 under a key derived for nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding(String);

/// A secret that was opened.
pub struct Opened {
    /// What was sealed.
    pub clear: Zeroizing<String>,
    /// Whether it is sealed under the first key and bound; if not, it is to be sealed again when the chance comes.
    pub is_current: bool,
}

/// A stored password: what is stored tells how it is verified.
#[derive(Debug)]
pub enum StoredPassword {
    /// A Fernet token, opened.
    Sealed(Opened),
    /// A bcrypt hash.
    Hashed {
        /// The hash.
        hash: PasswordHash,
        /// As [`Opened::is_current`].
        is_current: bool,
    },
}

/// The token was altered, sealed under a key that is not in the ring, or belongs elsewhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was altered, sealed under another key, or belongs elsewhere")]
pub struct OpenError;

impl Keyring {
    /// The same keys, with another answer to secrets that have no binding.
    #[must_use]
    pub fn with_unbound(self, unbound: Unbound) -> Self {
        Self { unbound, ..self }
    }

    /// The same keys, with something to do every few milliseconds while a password is hashed.
    #[must_use]
    pub fn with_pause(self, pause: Pause) -> Self {
        Self { pause, ..self }
    }

    /// Protects a text that belongs to `place`, stamped with `unix_seconds`. The token is readable by every Fernet
    /// implementation that has the key.
    #[must_use]
    pub fn seal(&self, clear: &str, unix_seconds: u64, place: Place<'_>) -> Sealed {
        let key = self.first();
        let token = key.fernet.encrypt_at_time(clear.as_bytes(), unix_seconds);
        Sealed { binding: Some(key.bind_token(place, &token)), key: Some(key.id.clone()), token }
    }

    /// The same token for another place, whose binding it gets. It must be sealed under the first key.
    #[must_use]
    pub fn bind_elsewhere(&self, sealed: &Sealed, place: Place<'_>) -> Sealed {
        Sealed { binding: Some(self.first().bind_token(place, &sealed.token)), ..sealed.clone() }
    }

    /// Reads a token back, whatever its age.
    ///
    /// # Errors
    /// [`OpenError`] when no key of the ring opens it, its binding is for another place, it has none and that is not
    /// accepted, or it holds no UTF-8.
    pub fn open(&self, sealed: &Sealed, place: Place<'_>) -> Result<Opened, OpenError> {
        let (key, clear) = self.decrypt(&sealed.token)?;
        match &sealed.binding {
            Some(binding) if key.verifies(binding, &token_parts(place, &sealed.token)) => {}
            None if self.unbound == Unbound::Accepted => {}
            Some(_) | None => return Err(OpenError),
        }
        let is_current = key.id == self.first().id && sealed.binding.is_some() && sealed.key.as_ref() == Some(&key.id);
        Ok(Opened { clear, is_current })
    }

    /// Protects a bcrypt hash that belongs to `place`: it is bound, its text stays.
    #[must_use]
    pub fn bind_hash(&self, hash: String, place: Place<'_>) -> Sealed {
        let key = self.first();
        Sealed { binding: Some(key.bind_token(place, &hash)), key: Some(key.id.clone()), token: hash }
    }

    /// Reads a token that another program wrote somewhere else, where bindings are not looked for: to seal it in its place.
    ///
    /// # Errors
    /// [`OpenError`] when no key of the ring opens it, or it holds no UTF-8.
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

    /// Hashes a password that belongs to `place`.
    ///
    /// # Errors
    /// [`UnhashablePassword`]
    pub fn hash(
        &self,
        password: &Password,
        place: Place<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, UnhashablePassword> {
        Ok(self.bind_hash(PasswordHash::of(password, rng, self.pause)?, place))
    }

    /// Compares a password with a hash.
    #[must_use]
    pub fn verify(&self, hash: &PasswordHash, password: &Password) -> HashMatch {
        hash.verify(password, self.pause)
    }

    /// The work of [`Self::verify`], where there is no hash.
    pub fn pay_for_a_hash(&self, password: &Password) {
        PasswordHash::pay(password, self.pause);
    }

    /// Reads a stored password, which is a bcrypt hash or a Fernet token.
    ///
    /// # Errors
    /// As [`Self::open`], and for what only claims to be a bcrypt hash.
    pub fn read_password(&self, stored: &Sealed, place: Place<'_>) -> Result<StoredPassword, OpenError> {
        if !PasswordHash::is_claimed_by(&stored.token) {
            return self.open(stored, place).map(StoredPassword::Sealed);
        }
        let hash = PasswordHash::parse(&stored.token).map_err(|_| OpenError)?;
        let is_current = match &stored.binding {
            Some(binding) => {
                let parts = token_parts(place, &stored.token);
                let key = self.keys.iter().find(|key| key.verifies(binding, &parts)).ok_or(OpenError)?;
                key.id == self.first().id && stored.key.as_ref() == Some(&key.id)
            }
            None if self.unbound == Unbound::Accepted => false,
            None => return Err(OpenError),
        };
        Ok(StoredPassword::Hashed { hash, is_current })
    }

    /// What should be stored in the place of a password: under the first key and bound. None if it already is.
    ///
    /// # Errors
    /// As [`Self::read_password`].
    pub fn refresh_password(
        &self,
        stored: &Sealed,
        unix_seconds: u64,
        place: Place<'_>,
    ) -> Result<Option<Sealed>, OpenError> {
        Ok(match self.read_password(stored, place)? {
            StoredPassword::Sealed(Opened { is_current: true, .. })
            | StoredPassword::Hashed { is_current: true, .. } => None,
            StoredPassword::Sealed(opened) => Some(self.seal(&opened.clear, unix_seconds, place)),
            StoredPassword::Hashed { .. } => Some(self.bind_hash(stored.token.clone(), place)),
        })
    }

    /// Binds what is said of an account.
    #[must_use]
    pub fn bind_standing(&self, owner: &str, standing: &str) -> Binding {
        self.first().bind(&["users_v2", owner, standing])
    }

    /// What makes digests of names and addresses.
    #[must_use]
    pub fn subject_key(&self) -> SubjectKey {
        let of = |key: &Key| Zeroizing::new(key.mac(&["subject key"]).finalize().into_bytes().into());
        SubjectKey::new(self.keys.iter().map(of).collect())
    }

    /// Whether what is said of an account is what was bound, under any key of the ring.
    #[must_use]
    pub fn holds_standing(&self, owner: &str, standing: &str, binding: Option<&Binding>) -> bool {
        match binding {
            Some(binding) => self.keys.iter().any(|key| key.verifies(binding, &["users_v2", owner, standing])),
            None => self.unbound == Unbound::Accepted,
        }
    }

    /// The name of the key that seals.
    #[must_use]
    pub fn first_id(&self) -> &KeyId {
        &self.first().id
    }

    /// Whether a key of that name is in the ring.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_str() == id)
    }

    /// The name of the key that opens a token, wherever it belongs.
    #[must_use]
    pub fn opener(&self, token: &str) -> Option<&KeyId> {
        let opens = |key: &&Key| key.fernet.decrypt_at_time(token, None, END_OF_TIME).map(Zeroizing::new).is_ok();
        self.keys.iter().find(opens).map(|key| &key.id)
    }

    /// Whether a key is also one that signs tokens: each has a purpose of its own.
    #[must_use]
    pub fn shares_a_key_with(&self, tokens: &TokenKeys) -> bool {
        self.keys.iter().any(|key| tokens.has(&key.id))
    }

    fn first(&self) -> &Key {
        &self.keys[0]
    }
}

fn token_parts<'a>(place: Place<'a>, token: &'a str) -> [&'a str; 3] {
    [place.slot.column(), place.owner, token]
}

impl Key {
    fn new(key: &SecretKey) -> Self {
        let fernet = Fernet::new(&Zeroizing::new(URL_SAFE.encode(key.bytes()))).expect("32 bytes are a Fernet key");
        Self { id: key.id(), fernet, binding: key.derive("cofrap binding v1") }
    }

    fn bind_token(&self, place: Place<'_>, token: &str) -> Binding {
        self.bind(&token_parts(place, token))
    }

    fn bind(&self, parts: &[&str]) -> Binding {
        Binding(URL_SAFE_NO_PAD.encode(self.mac(parts).finalize().into_bytes()))
    }

    fn verifies(&self, binding: &Binding, parts: &[&str]) -> bool {
        URL_SAFE_NO_PAD.decode(&binding.0).is_ok_and(|bytes| self.mac(parts).verify_slice(&bytes).is_ok())
    }

    /// Each part with its length before it, so that no two lists of parts look the same.
    fn mac(&self, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.binding).expect("HMAC takes keys of any length");
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

impl Sealed {
    /// A token as it was stored, with what was stored beside it; whether it opens is for [`Keyring::open`] to say.
    #[must_use]
    pub const fn from_stored(token: String, key: Option<KeyId>, binding: Option<Binding>) -> Self {
        Self { token, key, binding }
    }

    /// The token's text.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The name of the key that it was sealed under; none if another program wrote it.
    #[must_use]
    pub const fn key(&self) -> Option<&KeyId> {
        self.key.as_ref()
    }

    /// What ties it to its place; none if another program wrote it.
    #[must_use]
    pub const fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(redacted)")
    }
}

impl Binding {
    /// A binding as it was stored.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The binding's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(redacted)")
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::alphabet;
    use base64::engine::general_purpose::STANDARD;
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
        let mut keyring = keyring();
        keyring.keys[0].fernet = Fernet::new(&vector.secret).unwrap();
        keyring
    }

    fn keyring() -> Keyring {
        STANDARD.encode(KEY).parse().unwrap()
    }

    fn foreign(token: &str) -> Sealed {
        Sealed::from_stored(token.to_owned(), None, None)
    }

    fn open(keyring: &Keyring, sealed: &Sealed) -> Result<Zeroizing<String>, OpenError> {
        keyring.open(sealed, PLACE).map(|opened| opened.clear)
    }

    const KEY: [u8; 32] = *b"three blind mice, see how they r";
    const OTHER: [u8; 32] = *b"another key, for the rotation ..";
    const PLACE: Place<'static> = Slot::Password.of("michel.ranu");

    #[test]
    fn the_published_tokens_open() {
        let published =
            [include_str!("../vectors/fernet-verify.json"), include_str!("../vectors/fernet-generate.json")];
        for vector in published.into_iter().flat_map(vectors) {
            let clear = open(&published_keyring(&vector), &foreign(&vector.token)).unwrap();
            assert_eq!(*clear, vector.src);
        }
    }

    #[test]
    fn the_published_invalid_tokens_do_not_open_but_for_their_age() {
        for vector in vectors(include_str!("../vectors/fernet-invalid.json")) {
            let judged_by_age = vector.desc.contains("TS") || vector.desc.contains("TTL");
            let opened = open(&published_keyring(&vector), &foreign(&vector.token));
            assert_eq!(opened.is_ok(), judged_by_age, "{}", vector.desc);
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let (old, new) = (STANDARD.encode(KEY), STANDARD.encode(OTHER));
        let rotated: Keyring = format!("{new},{old}").parse().unwrap();
        let old: Keyring = old.parse().unwrap();
        let sealed = old.seal("hello", 0, PLACE);
        let opened = rotated.open(&sealed, PLACE).unwrap();
        assert_eq!((opened.clear.as_str(), opened.is_current), ("hello", false));
        assert!(old.open(&sealed, PLACE).unwrap().is_current);
        assert_eq!(open(&old, &rotated.seal("hello", 0, PLACE)), Err(OpenError));
        assert!(rotated.has(sealed.key().unwrap().as_str()) && !old.has(rotated.first_id().as_str()));
    }

    #[test]
    fn a_token_opens_in_its_own_place_only() {
        let keyring = keyring();
        let sealed = keyring.seal("hello", 0, PLACE);
        assert!(open(&keyring, &sealed).is_ok());
        assert!(keyring.open(&sealed, Slot::Password.of("somebody")).is_err());
        assert!(keyring.open(&sealed, Slot::SecondFactor.of("michel.ranu")).is_err());
        let elsewhere = Slot::PastPassword.of("michel.ranu");
        let moved = keyring.bind_elsewhere(&sealed, elsewhere);
        assert_eq!(moved.token(), sealed.token());
        assert!(keyring.open(&moved, elsewhere).is_ok() && open(&keyring, &moved).is_err());
    }

    #[test]
    fn a_token_without_a_binding_opens_only_where_that_is_accepted() {
        let sealed = keyring().seal("hello", 0, PLACE);
        let unbound = foreign(sealed.token());
        assert!(!keyring().open(&unbound, PLACE).unwrap().is_current);
        assert_eq!(open(&keyring().with_unbound(Unbound::Refused), &unbound), Err(OpenError));
        assert!(open(&keyring().with_unbound(Unbound::Refused), &sealed).is_ok());
    }

    #[test]
    fn a_hash_is_read_in_its_own_place_under_any_key_and_bound_anew_under_the_first() {
        const HASH: &str = "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        let keyring = keyring();
        let rotated: Keyring = format!("{},{}", STANDARD.encode(OTHER), STANDARD.encode(KEY)).parse().unwrap();
        let is_current = |keyring: &Keyring, sealed: &Sealed, place| match keyring.read_password(sealed, place) {
            Ok(StoredPassword::Hashed { is_current, .. }) => Some(is_current),
            Ok(StoredPassword::Sealed(_)) | Err(OpenError) => None,
        };
        let bound = keyring.bind_hash(HASH.to_owned(), PLACE);
        assert_eq!((bound.token(), is_current(&keyring, &bound, PLACE)), (HASH, Some(true)));
        assert_eq!(keyring.refresh_password(&bound, 0, PLACE), Ok(None));
        assert_eq!(is_current(&keyring, &bound, Slot::Password.of("somebody")), None);
        assert_eq!(is_current(&keyring, &bound, Slot::PastPassword.of("michel.ranu")), None);
        assert_eq!(is_current(&rotated, &bound, PLACE), Some(false));
        let moved = rotated.refresh_password(&bound, 0, PLACE).unwrap().unwrap();
        assert_eq!((moved.token(), is_current(&rotated, &moved, PLACE)), (HASH, Some(true)));
        assert_eq!(is_current(&keyring, &moved, PLACE), None);

        assert_eq!(is_current(&keyring, &foreign(HASH), PLACE), Some(false));
        assert_eq!(is_current(&keyring.with_unbound(Unbound::Refused), &foreign(HASH), PLACE), None);
        assert_eq!(is_current(&rotated, &foreign("$2b$12$CCC"), PLACE), None);
    }

    #[test]
    fn a_standing_holds_for_its_owner_as_it_was_bound() {
        let keyring = keyring();
        let binding = keyring.bind_standing("michel", "active");
        assert!(keyring.holds_standing("michel", "active", Some(&binding)));
        assert!(!keyring.holds_standing("michel", "provisional", Some(&binding)));
        assert!(!keyring.holds_standing("somebody", "active", Some(&binding)));
        assert!(!keyring.holds_standing("michela", "ctive", Some(&binding)));
        assert!(keyring.holds_standing("michel", "active", None));
        assert!(!keyring.with_unbound(Unbound::Refused).holds_standing("michel", "active", None));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_again_and_never_twice_the_same(clear: String, at in 0..=u64::from(u32::MAX)) {
            let keyring = keyring();
            let sealed = keyring.seal(&clear, at, PLACE);
            prop_assert_eq!(&*open(&keyring, &sealed).unwrap(), &clear);
            prop_assert_ne!(sealed, keyring.seal(&clear, at, PLACE));
        }

        #[test]
        fn a_flipped_byte_does_not_open(position in 0_usize..100, bit in 0_u32..6) {
            let keyring = keyring();
            let mut token = keyring.seal("twenty-four characters !", 0, PLACE).token().as_bytes().to_vec();
            let byte = token[position];
            let flipped = alphabet::URL_SAFE.as_str().bytes().cycle().skip_while(|c| *c != byte).nth(1 << bit).unwrap();
            token[position] = flipped;
            prop_assert_eq!(open(&keyring, &foreign(&String::from_utf8(token).unwrap())), Err(OpenError));
        }

        #[test]
        fn opening_never_panics(token: String, binding: String) {
            let sealed = Sealed::from_stored(token, None, Some(Binding::from_stored(binding)));
            prop_assert_eq!(open(&keyring(), &sealed), Err(OpenError));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let keyring = keyring();
        let sealed = keyring.seal("hello", 0, PLACE);
        assert_eq!(format!("{sealed:?} {:?}", sealed.binding().unwrap()), "Sealed(redacted) Binding(redacted)");
        assert_eq!(format!("{:?}", keyring.open(&sealed, PLACE).unwrap()), "Opened(redacted)");
        assert_eq!(format!("{keyring:?}"), "Keyring(1 keys, redacted)");
    }
}
