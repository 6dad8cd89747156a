//! What the database holds: tokens and bindings that the functions did not write do not open.

#![no_main]

use cofrap_crypto::{KeyId, Keyring, PasswordHash, RowMac, Sealed, SecretColumn, StoredPassword};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| "ZnV6emluZyBrZXksIGZvciBub3RoaW5nIGVsc2UgISE=".parse().expect("a key"));

fuzz_target!(|parts: (&str, &str, &str)| {
    let (token, key, binding) = parts;
    let place = SecretColumn::Password.of(key);
    let bound = Some(RowMac::from_stored(binding.to_owned()));
    assert!(KEYRING.open(&Sealed::from_stored(token.to_owned(), None, None), place).is_err());
    assert!(!KEYRING.verifies_status(key, token, bound.as_ref()));
    let sealed = KEYRING.seal(token, 0, place);
    let tampered = Sealed::from_stored(sealed.token().to_owned(), Some(KeyId::from_stored(key.to_owned())), bound);
    assert!(KEYRING.open(&tampered, place).is_err());
    if let Ok(read) = KEYRING.read_password(&Sealed::from_stored(token.to_owned(), None, None), place) {
        assert!(
            matches!(read, StoredPassword::Hashed { .. }) && token.len() == 60 && PasswordHash::is_claimed_by(token)
        );
    }
    assert!(KEYRING.read_password(&tampered, place).is_err());
    let _ = token.parse::<Keyring>();
});
