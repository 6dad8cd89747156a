//! Who issues a second factor, as an authenticator app shows it.

use crate::types::username::is_forbidden;

/// The issuer's name in the provisioning URI: 1 to 64 characters, no colon (it ends the issuer in the key URI format),
/// no control, format or separator-line character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer(String);

/// The text is no [`Issuer`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an issuer has 1 to {} characters, no colon and no control character", Issuer::MAX_LENGTH)]
pub struct InvalidIssuer;

impl Issuer {
    /// The most characters that an issuer's name has.
    pub const MAX_LENGTH: usize = 64;

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Issuer {
    type Error = InvalidIssuer;

    fn try_from(text: String) -> Result<Self, InvalidIssuer> {
        let length = text.chars().count();
        if length == 0 || length > Self::MAX_LENGTH || text.contains(':') || text.chars().any(is_forbidden) {
            return Err(InvalidIssuer);
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_1_to_64_characters_and_no_colon() {
        let check = |text: &str| Issuer::try_from(text.to_owned()).is_ok();
        assert!(check("MSPR2-COFRAP") && check("R&D é") && check(&"🔐".repeat(64)));
        assert!(!check("") && !check(&"e".repeat(65)) && !check("a:b") && !check("a\nb"));
    }
}
