//! Sessions and tickets: nothing that no key of ours signed is one.

#![no_main]

use cofrap_crypto::{SessionClaims, TokenKeys, TokenPurpose};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEYS: LazyLock<TokenKeys> =
    LazyLock::new(|| "ZnV6emluZyBrZXksIGZvciBub3RoaW5nIGVsc2UgISE=".parse().expect("a key"));

fuzz_target!(|text: &str| {
    assert!(KEYS.verify_login_token(TokenPurpose::Challenge, text).is_err());
    assert!(KEYS.verify_login_token(TokenPurpose::Renewal, text).is_err());
    assert!(KEYS.verify_session(text).is_err());
    // The same behind a header that is right.
    let claims = SessionClaims {
        user_id: 1,
        issued_at: 1,
        expires_at: 2,
        authenticated_at: 1,
        epoch: 0,
        identity: [0; 32],
        session_id: [0; 16],
        token_id: [0; 16],
    };
    let token = KEYS.sign_session(&claims);
    let (header, rest) = token.split_once('.').expect("three parts");
    assert!(KEYS.verify_session(&format!("{header}.{text}")).is_err() || rest == text);
    let _ = text.parse::<TokenKeys>();
});
