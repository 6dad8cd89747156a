//! Codes, secrets and names, as somebody typed or stored them.

#![no_main]

use cofrap_accounts::{Issuer, Username, sameness_key};
use cofrap_crypto::{TotpCode, TotpSecret};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let code = TotpCode::parse(text);
    assert_eq!(code.is_ok(), text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()));
    if let (Ok(secret), Ok(code)) = (TotpSecret::from_base32(text), TotpCode::parse("123456")) {
        let _ = secret.matched_step(&code, 20_000_000_000);
    }
    if let Ok(name) = Username::try_from(text.to_owned()) {
        assert_eq!(name.as_str(), text);
        assert_eq!(sameness_key(&name.sameness_key()), name.sameness_key());
    }
    let _ = Issuer::try_from(text.to_owned());
});
