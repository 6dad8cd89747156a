//! The keyring on published Fernet vectors, and on what an attacker of the database may try.

use super::*;
use crate::SecretColumn;
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
    keyring.open(sealed, CONTEXT).map(|opened| opened.clear)
}

const KEY: [u8; 32] = *b"three blind mice, see how they r";
const OTHER: [u8; 32] = *b"another key, for the rotation ..";
const CONTEXT: SealContext<'static> = SecretColumn::Password.of("michel.ranu");

#[test]
fn the_published_tokens_open() {
    let published =
        [include_str!("../../vectors/fernet-verify.json"), include_str!("../../vectors/fernet-generate.json")];
    for vector in published.into_iter().flat_map(vectors) {
        let clear = open(&published_keyring(&vector), &foreign(&vector.token)).unwrap();
        assert_eq!(*clear, vector.src);
    }
}

#[test]
fn the_published_invalid_tokens_do_not_open_but_for_their_age() {
    for vector in vectors(include_str!("../../vectors/fernet-invalid.json")) {
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
    let sealed = old.seal("hello", 0, CONTEXT);
    let opened = rotated.open(&sealed, CONTEXT).unwrap();
    assert_eq!((opened.clear.as_str(), opened.is_current), ("hello", false));
    assert!(old.open(&sealed, CONTEXT).unwrap().is_current);
    assert_eq!(open(&old, &rotated.seal("hello", 0, CONTEXT)), Err(OpenError));
    assert!(rotated.has(sealed.key().unwrap().as_str()) && !old.has(rotated.first_id().as_str()));
}

#[test]
fn a_token_opens_in_its_own_column_and_account_only() {
    let keyring = keyring();
    let sealed = keyring.seal("hello", 0, CONTEXT);
    assert!(open(&keyring, &sealed).is_ok());
    assert!(keyring.open(&sealed, SecretColumn::Password.of("somebody")).is_err());
    assert!(keyring.open(&sealed, SecretColumn::SecondFactor.of("michel.ranu")).is_err());
    let elsewhere = SecretColumn::PastPassword.of("michel.ranu");
    let moved = keyring.seal_for_history(&sealed, elsewhere);
    assert_eq!(moved.token(), sealed.token());
    assert!(keyring.open(&moved, elsewhere).is_ok() && open(&keyring, &moved).is_err());
}

#[test]
fn a_token_without_a_mac_opens_only_where_that_is_accepted() {
    let sealed = keyring().seal("hello", 0, CONTEXT);
    let unbound = foreign(sealed.token());
    assert!(!keyring().open(&unbound, CONTEXT).unwrap().is_current);
    assert_eq!(open(&keyring().with_unbound(Unbound::Refused), &unbound), Err(OpenError));
    assert!(open(&keyring().with_unbound(Unbound::Refused), &sealed).is_ok());
}

#[test]
fn a_hash_is_read_in_its_own_column_under_any_key_and_gets_a_new_mac_under_the_first() {
    const HASH: &str = "$2b$12$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let keyring = keyring();
    let rotated: Keyring = format!("{},{}", STANDARD.encode(OTHER), STANDARD.encode(KEY)).parse().unwrap();
    let is_current = |keyring: &Keyring, sealed: &Sealed, context| match keyring.read_password(sealed, context) {
        Ok(StoredPassword::Hashed { is_current, .. }) => Some(is_current),
        Ok(StoredPassword::Sealed(_)) | Err(OpenError) => None,
    };
    let bound = keyring.protect_hash(HASH.to_owned(), CONTEXT);
    assert_eq!((bound.token(), is_current(&keyring, &bound, CONTEXT)), (HASH, Some(true)));
    assert_eq!(keyring.refresh_password(&bound, 0, CONTEXT), Ok(None));
    assert_eq!(is_current(&keyring, &bound, SecretColumn::Password.of("somebody")), None);
    assert_eq!(is_current(&keyring, &bound, SecretColumn::PastPassword.of("michel.ranu")), None);
    assert_eq!(is_current(&rotated, &bound, CONTEXT), Some(false));
    let moved = rotated.refresh_password(&bound, 0, CONTEXT).unwrap().unwrap();
    assert_eq!((moved.token(), is_current(&rotated, &moved, CONTEXT)), (HASH, Some(true)));
    assert_eq!(is_current(&keyring, &moved, CONTEXT), None);

    assert_eq!(is_current(&keyring, &foreign(HASH), CONTEXT), Some(false));
    assert_eq!(is_current(&keyring.with_unbound(Unbound::Refused), &foreign(HASH), CONTEXT), None);
    assert_eq!(is_current(&rotated, &foreign("$2b$12$CCC"), CONTEXT), None);
}

#[test]
fn the_mac_of_a_status_is_right_for_one_account_and_one_status() {
    let keyring = keyring();
    let mac = keyring.status_mac("michel", "active");
    assert!(keyring.verifies_status("michel", "active", Some(&mac)));
    assert!(!keyring.verifies_status("michel", "provisional", Some(&mac)));
    assert!(!keyring.verifies_status("somebody", "active", Some(&mac)));
    assert!(!keyring.verifies_status("michela", "ctive", Some(&mac)));
    assert!(keyring.verifies_status("michel", "active", None));
    assert!(!keyring.with_unbound(Unbound::Refused).verifies_status("michel", "active", None));
}

proptest! {
    #[test]
    fn what_is_sealed_opens_again_and_never_twice_the_same(clear: String, at in 0..=u64::from(u32::MAX)) {
        let keyring = keyring();
        let sealed = keyring.seal(&clear, at, CONTEXT);
        prop_assert_eq!(&*open(&keyring, &sealed).unwrap(), &clear);
        prop_assert_ne!(sealed, keyring.seal(&clear, at, CONTEXT));
    }

    #[test]
    fn a_flipped_byte_does_not_open(position in 0_usize..100, bit in 0_u32..6) {
        let keyring = keyring();
        let mut token = keyring.seal("twenty-four characters !", 0, CONTEXT).token().as_bytes().to_vec();
        let byte = token[position];
        let flipped = alphabet::URL_SAFE.as_str().bytes().cycle().skip_while(|c| *c != byte).nth(1 << bit).unwrap();
        token[position] = flipped;
        prop_assert_eq!(open(&keyring, &foreign(&String::from_utf8(token).unwrap())), Err(OpenError));
    }

    #[test]
    fn opening_never_panics(token: String, mac: String) {
        let sealed = Sealed::from_stored(token, None, Some(RowMac::from_stored(mac)));
        prop_assert_eq!(open(&keyring(), &sealed), Err(OpenError));
    }
}

#[test]
fn debug_shows_nothing() {
    let keyring = keyring();
    let sealed = keyring.seal("hello", 0, CONTEXT);
    assert_eq!(format!("{sealed:?} {:?}", sealed.mac().unwrap()), "Sealed(redacted) RowMac(redacted)");
    assert_eq!(format!("{:?}", keyring.open(&sealed, CONTEXT).unwrap()), "Opened(redacted)");
    assert_eq!(format!("{keyring:?}"), "Keyring(1 keys, redacted)");
}
