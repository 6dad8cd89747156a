//! The URI that an authenticator app reads from the QR code.

use crate::TotpSecret;
use alloc::format;
use alloc::string::String;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `otpauth://totp/<issuer>:<account>?secret=<base32>&issuer=<issuer>`, in the key URI format that Google Authenticator
/// introduced. Algorithm, digits and period are the format's defaults: SHA-1, 6, 30 seconds.
#[must_use]
pub fn provisioning_uri(issuer: &str, account: &str, secret: &TotpSecret) -> Zeroizing<String> {
    let issuer = utf8_percent_encode(issuer, RESERVED);
    let account = utf8_percent_encode(account, RESERVED);
    Zeroizing::new(format!("otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}", *secret.expose_base32()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uri_of_the_specification() {
        let secret = TotpSecret::from_base32("JBSWY3DPEHPK3PXP").unwrap();
        assert_eq!(
            *provisioning_uri("MSPR2-COFRAP", "michel.ranu", &secret),
            "otpauth://totp/MSPR2-COFRAP:michel.ranu?secret=JBSWY3DPEHPK3PXP&issuer=MSPR2-COFRAP"
        );
    }

    #[test]
    fn everything_but_unreserved_characters_is_percent_encoded() {
        let secret = TotpSecret::from_base32("JBSWY3DPEHPK3PXP").unwrap();
        assert_eq!(
            *provisioning_uri("R&D é", "a:b/c?d=e~f_g", &secret),
            "otpauth://totp/R%26D%20%C3%A9:a%3Ab%2Fc%3Fd%3De~f_g?secret=JBSWY3DPEHPK3PXP&issuer=R%26D%20%C3%A9"
        );
    }
}
