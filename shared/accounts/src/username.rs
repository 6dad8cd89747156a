//! The name of an account.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use std::fmt;

/// A name that an account may have: 1 to 50 characters in Unicode normalisation form C, without control, format or
/// separator-line characters and without white space at either end. Two names are the same when their bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is no [`Username`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// No character, or more than [`Username::MAX_LENGTH`].
    #[error("a name has 1 to {} characters", Username::MAX_LENGTH)]
    Length,
    /// A character of the categories Cc, Cf, Zl or Zp.
    #[error("a name holds no control, format or separator-line character")]
    ForbiddenCharacter,
    /// White space at its start or end.
    #[error("a name neither starts nor ends with white space")]
    SurroundingSpace,
    /// The same letters are written with combining marks: the name exists in another form already.
    #[error("a name is in Unicode normalisation form C")]
    NotNormalised,
}

impl Username {
    /// The most characters that a name has; `users_v2.username` holds as many.
    pub const MAX_LENGTH: usize = 50;

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names share that differ only in case.
    #[must_use]
    pub fn case_key(&self) -> String {
        case_key(&self.0)
    }
}

/// What two texts share that differ only in case, in the form of their letters, or in surrounding white space: each
/// letter taken apart, folded to lower case by way of upper case, and put together again. Stored names that are no
/// [`Username`] have one too, so that no look-alike is created beside them.
#[must_use]
pub fn case_key(text: &str) -> String {
    // By iterator rather than by slice: that is 5 kB less of each component that has it.
    let mut folded = String::with_capacity(text.len());
    for character in DecomposingNormalizerBorrowed::new_nfd().normalize_iter(text.trim().chars()) {
        for lower in character.to_lowercase() {
            for upper in lower.to_uppercase() {
                folded.extend(upper.to_lowercase());
            }
        }
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned()
}

impl TryFrom<String> for Username {
    type Error = InvalidUsername;

    fn try_from(text: String) -> Result<Self, InvalidUsername> {
        if text.is_empty() || text.chars().count() > Self::MAX_LENGTH {
            Err(InvalidUsername::Length)
        } else if text.chars().any(is_forbidden) {
            Err(InvalidUsername::ForbiddenCharacter)
        } else if text.trim() != text {
            Err(InvalidUsername::SurroundingSpace)
        } else if !ComposingNormalizerBorrowed::new_nfc().is_normalized(&text) {
            Err(InvalidUsername::NotNormalised)
        } else {
            Ok(Self(text))
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that cannot be seen, or that break a line (Cc, Cf, Zl and Zp of the Unicode standard): they would let two
/// names look alike, or forge a log line.
pub(crate) fn is_forbidden(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') || is_format(character)
}

/// The general category Cf. Unicode's own tables of all categories would be a tenth of a component; a test compares.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use icu_properties::CodePointMapData;
    use icu_properties::props::GeneralCategory;
    use proptest::prelude::*;

    #[test]
    fn the_forbidden_categories_are_unicode_s() {
        let categories = CodePointMapData::<GeneralCategory>::new();
        for character in '\0'..=char::MAX {
            let forbidden = matches!(
                categories.get(character),
                GeneralCategory::Control
                    | GeneralCategory::Format
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
            );
            assert_eq!(is_forbidden(character), forbidden, "U+{:04X}", u32::from(character));
        }
    }

    fn check(text: &str, refused: Option<InvalidUsername>) {
        assert_eq!(Username::try_from(text.to_owned()).err(), refused, "{text:?}");
    }

    #[test]
    fn names_of_people_are_taken() {
        for name in ["michel.ranu", "a", "Ève Dupont", "李小龍", "o'brien; DROP TABLE", "🔐", "test.user"] {
            check(name, None);
        }
        check(&"é".repeat(50), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        check("", Some(InvalidUsername::Length));
        check(&"e".repeat(51), Some(InvalidUsername::Length));
        for invisible in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{202e}',
            '\u{2028}',
            '\u{2029}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            check(&format!("mi{invisible}chel"), Some(InvalidUsername::ForbiddenCharacter));
        }
        for padded in [" michel", "michel ", "\u{a0}michel", "michel\u{3000}"] {
            check(padded, Some(InvalidUsername::SurroundingSpace));
        }
        check("e\u{301}ve", Some(InvalidUsername::NotNormalised));
    }

    #[test]
    fn names_that_differ_only_in_case_share_their_key() {
        for (one, other) in [
            ("Michel.Ranu", "MICHEL.RANU"),
            ("ÈVE", "ève"),
            ("ΟΔΟΣ", "οδος"),
            ("STRASSE", "straße"),
            ("STRAẞF", "straßf"),
            ("ΐa", "Ϊ́A"),
            ("ᾷ1", "Α\u{342}Ι1"),
            ("éve", "e\u{301}ve"),
            (" padded\t", "Padded"),
        ] {
            assert_eq!(case_key(one), case_key(other), "{one} {other}");
        }
        assert_ne!(case_key("eve"), case_key("ève"));
    }

    proptest! {
        #[test]
        fn a_name_keeps_its_bytes(text: String) {
            if let Ok(name) = Username::try_from(text.clone()) {
                prop_assert_eq!(name.as_str(), text);
            }
        }
    }
}
