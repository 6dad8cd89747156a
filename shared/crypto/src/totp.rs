//! Time-based one-time codes: RFC 6238 with SHA-1, 6 digits, 30 seconds.

use alloc::string::String;
use core::fmt;
use rand_core::CryptoRng;
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

/// Seconds that one code lasts. RFC 6238, section 5.2.
const STEP_SECONDS: u64 = 30;

/// Steps before and after the current one whose codes are still taken. RFC 6238, section 5.2.
const SKEW_STEPS: u16 = 1;

/// The secret that an authenticator app and the server share: redacted in `Debug`, wiped when dropped.
pub struct TotpSecret(Secret);

/// The stored text is not base32 (RFC 4648, section 6), or holds no byte.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored second factor is not base32")]
pub struct InvalidTotpSecret;

impl TotpSecret {
    /// Bytes in a generated secret: 160 bits, 32 characters of base32. RFC 4226, section 4.
    pub const GENERATED_BYTES: usize = 20;

    /// Draws a secret of [`Self::GENERATED_BYTES`].
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; Self::GENERATED_BYTES]);
        rng.fill_bytes(&mut *bytes);
        Self(Secret::from(bytes.as_slice()))
    }

    /// Reads a stored secret as authenticators do: any case, with or without padding and spaces, of any length.
    ///
    /// # Errors
    /// [`InvalidTotpSecret`] when the text is not base32 or is empty.
    pub fn from_base32(text: &str) -> Result<Self, InvalidTotpSecret> {
        let compact: Zeroizing<String> = Zeroizing::new(
            text.chars().filter(|c| !matches!(c, ' ' | '-' | '=')).map(|c| c.to_ascii_uppercase()).collect(),
        );
        match Secret::try_from_base32(&*compact) {
            Ok(secret) if !secret.is_empty() => Ok(Self(secret)),
            Ok(_) | Err(_) => Err(InvalidTotpSecret),
        }
    }

    /// The secret in base32, unpadded, for the provisioning URI and for sealing.
    #[must_use]
    pub fn expose_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_base32())
    }

    /// The step that the code belongs to, when it is the step of `unix_seconds`, the one before or the one after.
    ///
    /// Whether that step was used before is not known here: the caller keeps the last accepted one.
    #[must_use]
    pub fn matched_step(&self, code: &TotpCode, unix_seconds: u64) -> Option<TotpStep> {
        self.totp().check(code.as_str(), unix_seconds).and_then(|step| i64::try_from(step).ok()).map(TotpStep)
    }

    fn totp(&self) -> Totp {
        Builder::new()
            .with_secret(self.0.clone())
            .with_skew(SKEW_STEPS)
            .with_step_duration(STEP_SECONDS)
            .build_noncompliant()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(redacted)")
    }
}

/// The number of a 30-second step since the Unix epoch. RFC 6238, section 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TotpStep(i64);

impl TotpStep {
    /// A step as it was stored.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The step's number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

/// Exactly six ASCII digits, leading zeros included: redacted in `Debug`.
pub struct TotpCode(Zeroizing<[u8; 6]>);

/// The text is not exactly six ASCII digits.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a one-time code is six digits")]
pub struct MalformedTotpCode;

impl TotpCode {
    /// Reads a code as it was typed; spaces, signs and digits of other scripts are refused.
    ///
    /// # Errors
    /// [`MalformedTotpCode`] for anything but six ASCII digits.
    pub fn parse(text: &str) -> Result<Self, MalformedTotpCode> {
        match <[u8; 6]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(Self(Zeroizing::new(digits))),
            Ok(_) | Err(_) => Err(MalformedTotpCode),
        }
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&*self.0).expect("parse only takes ASCII digits")
    }
}

impl fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpCode(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// The secret of RFC 4226, appendix D and RFC 6238, appendix B, in base32.
    const PUBLISHED_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn check(code: &str, unix_seconds: u64) -> Option<i64> {
        let code = TotpCode::parse(code).unwrap();
        TotpSecret::from_base32(PUBLISHED_SECRET).unwrap().matched_step(&code, unix_seconds).map(TotpStep::number)
    }

    #[test]
    fn rfc_6238_appendix_b_holds() {
        for (unix_seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = i64::try_from(unix_seconds / STEP_SECONDS).unwrap();
            assert_eq!(check(code, unix_seconds), Some(step), "at {unix_seconds}");
        }
    }

    #[test]
    fn rfc_4226_appendix_d_holds_with_the_step_as_counter() {
        let codes =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (counter, code) in (0..).zip(codes) {
            assert_eq!(check(code, counter * STEP_SECONDS), Some(i64::try_from(counter).unwrap()));
        }
    }

    #[test]
    fn codes_of_the_steps_around_are_taken_and_no_others() {
        let at = |step: u64| step * STEP_SECONDS;
        assert_eq!(check("338314", at(3)), Some(4));
        assert_eq!(check("338314", at(4) + 29), Some(4));
        assert_eq!(check("338314", at(5)), Some(4));
        assert_eq!(check("338314", at(2) + 29), None);
        assert_eq!(check("338314", at(6)), None);
    }

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        assert!(TotpCode::parse("005924").is_ok());
        for text in
            ["", "12345", "1234567", "+12345", "123456 ", " 123456", "12345a", "１２３４５６", "12345\u{0}", "-12345"]
        {
            assert_eq!(TotpCode::parse(text).err(), Some(MalformedTotpCode), "{text:?}");
        }
    }

    #[test]
    fn stored_secrets_of_other_programs_are_read() {
        for text in ["JBSWY3DPEHPK3PXP", "jbswy3dpehpk3pxp", "JBSW Y3DP EHPK 3PXP", "JBSWY3DPEHPK3PXP===="] {
            assert_eq!(*TotpSecret::from_base32(text).unwrap().expose_base32(), "JBSWY3DPEHPK3PXP");
        }
        for text in ["", "====", "not base32!", "0189"] {
            assert_eq!(TotpSecret::from_base32(text).err(), Some(InvalidTotpSecret), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_generated_secret_is_32_characters_that_read_back(seed: u64) {
            let base32 = TotpSecret::generate(&mut ChaCha20Rng::seed_from_u64(seed)).expose_base32();
            prop_assert_eq!(base32.len(), 32);
            prop_assert!(base32.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')));
            prop_assert_eq!(TotpSecret::from_base32(&base32).unwrap().expose_base32(), base32);
        }

        #[test]
        fn reading_never_panics(text: String) {
            let _ = TotpSecret::from_base32(&text);
            let _ = TotpCode::parse(&text);
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = TotpSecret::from_base32(PUBLISHED_SECRET).unwrap();
        assert_eq!(format!("{secret:?}"), "TotpSecret(redacted)");
        assert_eq!(format!("{:?}", TotpCode::parse("123456").unwrap()), "TotpCode(redacted)");
    }
}
