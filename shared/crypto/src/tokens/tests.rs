//! Tokens of the published test vectors, and forged ones.

use super::login::{LoginTokenClaims, TokenPurpose};
use super::*;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

const KEY: [u8; 32] = *b"three blind mice, see how they r";
const OTHER: [u8; 32] = *b"another key, for the rotation ..";

fn keys(list: &[[u8; 32]]) -> TokenKeys {
    list.iter().map(|key| STANDARD.encode(key)).collect::<Vec<_>>().join(",").parse().unwrap()
}

fn claims() -> SessionClaims {
    SessionClaims {
        user_id: 7,
        issued_at: 1000,
        expires_at: 2800,
        authenticated_at: 900,
        epoch: 3,
        identity: [7; 32],
        session_id: [2; 16],
        token_id: [1; 16],
    }
}

fn login_claims() -> LoginTokenClaims {
    LoginTokenClaims {
        user_id: 7,
        expires_at: 1000,
        login_counter: 2,
        security_counter: 3,
        credential_versions: [4, 5],
        identity: [6; 32],
    }
}

/// RFC 8032, section 7.1, test 3; RFC 8037, appendix A uses test 1's key.
#[test]
fn signatures_are_the_published_ones() {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let seed = bytes("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
    let key = SigningKey::from_bytes(&seed.try_into().unwrap());
    let public = bytes("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
    assert_eq!(key.verifying_key().as_bytes().as_slice(), public);
    let published = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                     18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
    assert_eq!(key.sign(&[0xaf, 0x82]).to_bytes().as_slice(), bytes(&published.replace(char::is_whitespace, "")));
}

/// A token with other contents, and a signature that was made for none.
fn forged(header: &str, claims: &str, signature: &str) -> String {
    format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn a_session_reads_back_and_says_what_the_contract_names() {
    let keys = keys(&[KEY]);
    let token = keys.sign_session(&claims());
    assert_eq!(keys.verify_session(&token), Ok(claims()));
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"iss":"cofrap-auth","aud":"cofrap","sub":"7","iat":1000,"nbf":1000,"exp":2800,"jti":"AQEBAQEBAQEBAQEBAQEBAQ","auth_time":900,"epoch":3,"acct":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","sid":"AgICAgICAgICAgICAgICAg"}"#
    );
}

/// RFC 8037, appendix A.4: the signature is over the first two parts as they are written.
#[test]
fn another_implementation_verifies_the_signature() {
    let keys = keys(&[KEY]);
    let token = keys.sign_session(&claims());
    let public = URL_SAFE_NO_PAD.decode(&keys.public_keys()[0].x).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public = ed25519_compact::PublicKey::from_slice(&public).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(public.verify(signed, &ed25519_compact::Signature::from_slice(&signature).unwrap()).is_ok());
}

#[test]
fn the_first_key_signs_all_verify_and_all_are_shown() {
    let (old, new) = (keys(&[KEY]), keys(&[OTHER, KEY]));
    let token = old.sign_session(&claims());
    assert!(new.verify_session(&token).is_ok());
    assert!(old.verify_session(&new.sign_session(&claims())).is_err());
    assert_eq!(new.public_keys()[1], old.public_keys()[0]);
    let renewal = old.sign_login_token(TokenPurpose::Renewal, &login_claims());
    assert!(new.verify_login_token(TokenPurpose::Renewal, &renewal).is_ok());
}

#[test]
fn nothing_in_a_session_chooses_how_it_is_verified() {
    let keys = keys(&[KEY]);
    let kid = keys.public_keys()[0].kid.clone();
    let token = keys.sign_session(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let body = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let forgeries = [
        forged(r#"{"alg":"none"}"#, &body, ""),
        forged(&format!(r#"{{"alg":"none","typ":"JWT","kid":"{kid}"}}"#), &body, parts[2]),
        forged(&format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#), &body, parts[2]),
        forged(r#"{"alg":"EdDSA","typ":"JWT","kid":"another"}"#, &body, parts[2]),
        forged(&format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}","jku":"https://evil.test"}}"#), &body, parts[2]),
        format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(body.replace("\"7\"", "\"8\"")), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}="),
        format!(" {token}"),
        String::new(),
    ];
    for forgery in forgeries {
        assert_eq!(keys.verify_session(&forgery), Err(InvalidToken), "{forgery}");
    }
}

#[test]
fn a_session_for_another_audience_is_refused() {
    let keys = keys(&[KEY]);
    let key = keys.0[0].session();
    let token = keys.sign_session(&claims());
    let body = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let body = String::from_utf8(body).unwrap();
    for other in [body.replace("\"cofrap\"", "\"other\""), body.replace("cofrap-auth", "other")] {
        let signed = format!("{}.{}", key.header, URL_SAFE_NO_PAD.encode(other));
        assert_eq!(keys.verify_session(&format!("{signed}.{}", key.sign(&signed))), Err(InvalidToken));
    }
}

#[test]
fn a_login_token_is_accepted_for_its_purpose_only() {
    let keys = keys(&[KEY]);
    let renewal = keys.sign_login_token(TokenPurpose::Renewal, &login_claims());
    assert_eq!(keys.verify_login_token(TokenPurpose::Renewal, &renewal), Ok(login_claims()));
    assert_eq!(keys.verify_login_token(TokenPurpose::Challenge, &renewal), Err(InvalidToken));
    assert_eq!(keys.verify_session(&renewal), Err(InvalidToken));
    assert_eq!(keys.verify_login_token(TokenPurpose::Renewal, &keys.sign_session(&claims())), Err(InvalidToken));
}

proptest! {
    #[test]
    fn a_changed_login_token_is_refused(position in 0_usize..149, to in "[A-Za-z0-9_-]") {
        let keys = keys(&[KEY]);
        let token = keys.sign_login_token(TokenPurpose::Challenge, &login_claims());
        let mut changed = token.clone();
        changed.replace_range(position..=position, &to);
        prop_assert_eq!(keys.verify_login_token(TokenPurpose::Challenge, &changed).is_ok(), changed == token);
    }

    #[test]
    fn reading_never_panics(text: String) {
        let keys = keys(&[KEY]);
        let _ = keys.verify_session(&text);
        let _ = keys.verify_login_token(TokenPurpose::Renewal, &text);
    }
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", keys(&[KEY])), "TokenKeys(1 keys, redacted)");
}
