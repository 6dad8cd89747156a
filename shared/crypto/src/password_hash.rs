//! Passwords that are kept as bcrypt hashes.

use crate::Password;
use alloc::format;
use alloc::string::String;
use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, NO_PAD};
use blowfish::Blowfish;
use core::fmt;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Some programs leave bits set in the salt's last character that mean nothing.
const LENIENT: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

const BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, LENIENT);

const SALT_BYTES: usize = 16;

/// bcrypt makes 24 bytes; its text form has always left the last one out.
const DIGEST_BYTES: usize = 23;

/// Rounds between two pauses: some milliseconds.
const ROUNDS_AT_ONCE: u32 = 128;

/// What every hash is the encryption of.
const MAGIC: [u32; 6] = [0x4F72_7068, 0x6561_6E42, 0x6568_6F6C, 0x6465_7253, 0x6372_7944, 0x6F75_6274];

/// Called every few milliseconds of a hash's computation: on a platform where nothing interrupts a request, it lets others run.
pub type Pause = fn();

/// A bcrypt hash as it was stored. `$2a$`, `$2b$` and `$2y$` name old faults of single programs, and are computed alike.
pub struct PasswordHash {
    cost: u32,
    salt: [u8; SALT_BYTES],
    digest: [u8; DIGEST_BYTES],
}

/// The text is no bcrypt hash, or one that would take longer to verify than anybody waits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no bcrypt hash of a cost from {} to {}", PasswordHash::LOWEST_COST, PasswordHash::HIGHEST_COST)]
pub struct InvalidPasswordHash;

/// The password cannot be hashed: bcrypt reads [`PasswordHash::MAX_BYTES`] bytes, and takes a NUL for the end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password to hash has at most {} bytes, and no NUL among them", PasswordHash::MAX_BYTES)]
pub struct UnhashablePassword;

/// How a password compares with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashMatch {
    /// It is another one.
    Different,
    /// It is the one that was hashed.
    Same,
    /// It is longer than bcrypt reads, and as far as that goes it is the one that was hashed.
    SameAsFarAsRead,
}

impl PasswordHash {
    /// The binary logarithm of the rounds of new hashes.
    pub const COST: u32 = 12;

    /// The lowest cost that is verified: the lowest that bcrypt has.
    pub const LOWEST_COST: u32 = 4;

    /// The highest cost that is verified: four times the work of [`Self::COST`].
    pub const HIGHEST_COST: u32 = 14;

    /// Bytes of a password that bcrypt reads.
    pub const MAX_BYTES: usize = 72;

    /// Hashes a password, as `$2b$` text. It is refused rather than cut.
    ///
    /// # Errors
    /// [`UnhashablePassword`]
    pub fn of(password: &Password, rng: &mut impl CryptoRng, pause: Pause) -> Result<String, UnhashablePassword> {
        if !Self::can_hash(password) {
            return Err(UnhashablePassword);
        }
        Ok(Self::of_taken_over(password.expose(), rng, pause))
    }

    /// Hashes a password that was kept in clear until now, as far as bcrypt reads: whoever has a longer one is
    /// [`HashMatch::SameAsFarAsRead`].
    #[must_use]
    pub fn of_taken_over(clear: &str, rng: &mut impl CryptoRng, pause: Pause) -> String {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let digest = compute(Self::COST, salt, clear, pause);
        format!("$2b${}${}{}", Self::COST, BASE64.encode(salt), BASE64.encode(digest))
    }

    /// Whether a password can be hashed whole.
    #[must_use]
    pub fn can_hash(password: &Password) -> bool {
        password.expose().len() <= Self::MAX_BYTES && !password.expose().contains('\0')
    }

    /// Whether a text claims to be a hash, of whatever kind and well-formed or not: it is never a password in clear.
    #[must_use]
    pub fn is_claimed_by(text: &str) -> bool {
        const OTHERS: [&str; 14] = [
            "$1$", "$5$", "$6$", "$7$", "$y$", "$argon2", "$pbkdf2", "$scrypt", "$bcrypt", "pbkdf2:", "pbkdf2_",
            "scrypt:", "{SSHA", "{CRYPT}",
        ];
        let is_bcrypt = text.strip_prefix("$2").is_some_and(|rest| matches!(rest.find('$'), Some(0 | 1)));
        is_bcrypt || OTHERS.iter().any(|prefix| text.starts_with(prefix))
    }

    /// Its binary logarithm of the rounds.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }

    /// Reads a hash.
    ///
    /// # Errors
    /// [`InvalidPasswordHash`]
    pub fn parse(text: &str) -> Result<Self, InvalidPasswordHash> {
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix));
        let (cost, encoded) = rest.and_then(|rest| rest.split_once('$')).ok_or(InvalidPasswordHash)?;
        let (salt, digest) = encoded.split_at_checked(22).ok_or(InvalidPasswordHash)?;
        let is_plain = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = cost.parse().ok().filter(|_| is_plain);
        Ok(Self {
            cost: cost
                .filter(|cost| (Self::LOWEST_COST..=Self::HIGHEST_COST).contains(cost))
                .ok_or(InvalidPasswordHash)?,
            salt: decode(salt).ok_or(InvalidPasswordHash)?,
            digest: decode(digest).ok_or(InvalidPasswordHash)?,
        })
    }

    /// Compares a password with the hash. It takes at least the work of [`Self::COST`], so that hashes of lower costs are
    /// not told from others.
    #[must_use]
    pub fn verify(&self, password: &Password, pause: Pause) -> HashMatch {
        let digest = compute(self.cost, self.salt, password.expose(), pause);
        for cost in self.cost..Self::COST {
            let _ = compute(cost, self.salt, password.expose(), pause);
        }
        let is_same = bool::from(digest.ct_eq(&self.digest)) && !password.expose().contains('\0');
        match (is_same, Self::can_hash(password)) {
            (true, true) => HashMatch::Same,
            (true, false) => HashMatch::SameAsFarAsRead,
            (false, _) => HashMatch::Different,
        }
    }

    /// The work of verifying a hash of [`Self::COST`], where there is none.
    pub fn pay(password: &Password, pause: Pause) {
        let _ = compute(Self::COST, [0; SALT_BYTES], password.expose(), pause);
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}

/// bcrypt over as much of the password, and the NUL that ends it, as it reads. The `bcrypt` crate, which the tests compare with,
/// does the same without pauses. Provos and Mazières, "A Future-Adaptable Password Scheme", figure 3.
fn compute(cost: u32, salt: [u8; SALT_BYTES], password: &str, pause: Pause) -> [u8; DIGEST_BYTES] {
    let text = password.as_bytes();
    let length = text.len().min(PasswordHash::MAX_BYTES);
    let mut bytes = [0; PasswordHash::MAX_BYTES];
    bytes[..length].copy_from_slice(&text[..length]);
    let key = &bytes[..(length + 1).min(PasswordHash::MAX_BYTES)];

    let mut state = Blowfish::bc_init_state();
    state.salted_expand_key(&salt, key);
    for round in 1..=1_u32 << cost {
        state.bc_expand_key(key);
        state.bc_expand_key(&salt);
        if round % ROUNDS_AT_ONCE == 0 {
            pause();
        }
    }
    bytes.zeroize();

    let mut output = [0; DIGEST_BYTES];
    for (block, bytes) in MAGIC.chunks(2).zip(output.chunks_mut(8)) {
        let encrypted = (0..64).fold([block[0], block[1]], |block, _| state.bc_encrypt(block));
        for (byte, encrypted) in bytes.iter_mut().zip(encrypted.into_iter().flat_map(u32::to_be_bytes)) {
            *byte = encrypted;
        }
    }
    output
}

/// Exactly so many bytes.
fn decode<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use zeroize::Zeroizing;

    fn password(text: &str) -> Password {
        Password::submitted(Zeroizing::new(text.into())).unwrap()
    }

    fn verify(text: &str, hash: &str) -> HashMatch {
        PasswordHash::parse(hash).unwrap().verify(&password(text), || {})
    }

    fn hash(text: &str) -> Result<String, UnhashablePassword> {
        PasswordHash::of(&password(text), &mut ChaCha20Rng::seed_from_u64(1), || {})
    }

    /// Known pairs of `crypt_blowfish` and OpenBSD.
    #[test]
    fn the_published_hashes_verify() {
        for (text, hash) in [
            ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
            ("U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
            ("U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ] {
            assert_eq!(verify(text, hash), HashMatch::Same, "{text}");
            assert_eq!(verify("U*", hash), HashMatch::Different, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_computes_what_the_bcrypt_crate_computes(text in "[^\\x00]{0,100}", salt: [u8; 16], cost in 4_u32..6) {
            let theirs = bcrypt::hash_with_salt(&text, cost, salt).unwrap();
            let ours = compute(cost, salt, &text, || {});
            let text = format!("$2b${cost:02}${}{}", BASE64.encode(salt), BASE64.encode(ours));
            prop_assert_eq!(text, theirs.to_string());
        }
    }

    /// What it costs is seen by its pauses.
    #[test]
    fn verifying_a_hash_of_a_lower_cost_takes_the_work_of_cost_12() {
        static PAUSES: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
        let hash = PasswordHash::parse("$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW").unwrap();
        let _ = hash.verify(&password("x"), || {
            PAUSES.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        });
        // The rounds of costs 4 to 11 are those of 12 but for 16; the first 112 of them come without a pause.
        assert_eq!(PAUSES.load(core::sync::atomic::Ordering::Relaxed), 31);
    }

    #[test]
    fn others_run_every_128_rounds() {
        static PAUSES: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
        PasswordHash::pay(&password("x"), || {
            PAUSES.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(PAUSES.load(core::sync::atomic::Ordering::Relaxed), 32);
    }

    #[test]
    fn what_is_hashed_is_2b_of_cost_12_and_verifies() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$2b$12$") && stored.len() == 60, "{stored}");
        assert_eq!(verify("correct horse", &stored), HashMatch::Same);
        assert_eq!(verify("correct horsf", &stored), HashMatch::Different);
        assert_eq!(verify(&stored, &stored), HashMatch::Different);
    }

    #[test]
    fn a_password_of_72_bytes_is_hashed_whole_and_a_longer_one_refused() {
        let whole = "é".repeat(36);
        let stored = hash(&whole).unwrap();
        assert_eq!(verify(&whole, &stored), HashMatch::Same);
        assert_eq!(verify(&whole[..70], &stored), HashMatch::Different);
        assert_eq!(verify(&format!("{whole}x"), &stored), HashMatch::SameAsFarAsRead);
        assert_eq!(hash(&format!("{whole}x")), Err(UnhashablePassword));
    }

    /// bcrypt repeats the password and the NUL that ends it: with a NUL inside, another password would do.
    #[test]
    fn a_nul_is_neither_hashed_nor_verified() {
        let stored = hash("abc").unwrap();
        assert_eq!(verify("abc\0abc", &stored), HashMatch::Different);
        assert_eq!(hash("abc\0abc"), Err(UnhashablePassword));
    }

    #[test]
    fn what_is_no_hash_or_too_costly_is_refused() {
        let valid = "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        assert!(PasswordHash::parse(valid).is_ok());
        for (from, to) in [
            ("$2b$", "$2x$"),
            ("$2b$", "$3b$"),
            ("$12$", "$15$"),
            ("$12$", "$03$"),
            ("$12$", "$012$"),
            ("$12$", "$+9$"),
            ("eW", "e"),
            ("eW", "eWW"),
            ("eW", "e="),
            ("eW", "é"),
            ("CC.E", "CCé"),
        ] {
            let text = valid.replacen(from, to, 1);
            assert_eq!(PasswordHash::parse(&text).err(), Some(InvalidPasswordHash), "{text}");
        }
        for claims in ["$2x$05$", "$2$04$", "$2B$12$", "$6$salt$", "$argon2id$v=19$", "pbkdf2:sha256:1$"] {
            assert!(PasswordHash::is_claimed_by(claims), "{claims}");
        }
        for claims_not in ["$2", "$2bc$", "$3x$", "$12$", " $2b$", ""] {
            assert!(!PasswordHash::is_claimed_by(claims_not), "{claims_not}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let parsed = PasswordHash::parse("$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
        assert_eq!(format!("{:?}", parsed.unwrap()), "PasswordHash(redacted)");
    }
}
