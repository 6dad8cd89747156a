//! The name of an account.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::fmt;
use unicode_security::{MixedScript, RestrictionLevel, RestrictionLevelDetection};

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

    /// What two names share that are the same to people.
    #[must_use]
    pub fn sameness_key(&self) -> String {
        sameness_key(&self.0)
    }
}

/// What two texts share that are the same to people: those that Unicode's `NFKC_Casefold` makes the same (UAX 44, `NFKC_CF`), but for
/// white space around them. Stored names that are no [`Username`] have one too, so that no look-alike is created beside them.
#[must_use]
pub fn sameness_key(text: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let fold = |text: &str| {
        let folded = CaseMapper::new().fold_string(text);
        nfkc.normalize_iter(folded.chars().filter(|c| !ignorable.contains(*c))).collect::<String>()
    };
    // Taking a form apart can leave letters to fold, and folding can leave forms to take apart.
    fold(&fold(&nfkc.normalize(text))).trim().to_owned()
}

/// A name that a new account may have: letters, marks, digits and `. _ - ' @ +` with single spaces between them, in scripts that people
/// write together, spelled in the plainest way. Accounts that were there before keep theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUsername<'a>(&'a Username);

/// Why a [`Username`] is none that a new account may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitUsername {
    /// A character that is no letter, mark, digit or one of those signs, or that nobody sees.
    #[error("the name has a character that new names may not have")]
    Character,
    /// A mark that stands on nothing, or more than one space in a row.
    #[error("the name has a mark that stands on nothing, or more than one space in a row")]
    Order,
    /// Letters in another form: full-width ones, ligatures.
    #[error("the name has a plainer form")]
    NotPlain {
        /// The name in its plain form.
        plain: String,
    },
    /// Letters of scripts that look alike. UTS 39, section 5.2: more than "moderately restrictive" allows.
    #[error("the name mixes scripts")]
    MixedScripts,
}

impl<'a> NewUsername<'a> {
    /// The name.
    #[must_use]
    pub const fn username(&self) -> &'a Username {
        self.0
    }
}

impl<'a> TryFrom<&'a Username> for NewUsername<'a> {
    type Error = UnfitUsername;

    fn try_from(username: &'a Username) -> Result<Self, UnfitUsername> {
        let name = username.as_str();
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        // Two hieroglyphs are blanks, and letters by category.
        let is_unseen = |c: char| ignorable.contains(c) || matches!(c, '\u{13441}' | '\u{13442}');
        if name.chars().any(is_unseen) {
            return Err(UnfitUsername::Character);
        }
        let plain = ComposingNormalizerBorrowed::new_nfkc().normalize(name);
        if plain != name {
            return Err(UnfitUsername::NotPlain { plain: plain.into_owned() });
        }
        let mut before = Kind::Space;
        for kind in name.chars().map(Kind::of) {
            match (before, kind) {
                (_, Kind::Other) => return Err(UnfitUsername::Character),
                (Kind::Space, Kind::Space) | (Kind::Space | Kind::Sign, Kind::Mark) => {
                    return Err(UnfitUsername::Order);
                }
                _ => before = kind,
            }
        }
        let written: String = name.chars().filter(|c| matches!(Kind::of(*c), Kind::Letter | Kind::Mark)).collect();
        let is_readable =
            written.is_single_script() || written.check_restriction_level(RestrictionLevel::ModeratelyRestrictive);
        if is_readable { Ok(Self(username)) } else { Err(UnfitUsername::MixedScripts) }
    }
}

/// What a character of a name is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A letter, or a digit.
    Letter,
    Mark,
    Sign,
    Space,
    Other,
}

impl Kind {
    fn of(character: char) -> Self {
        use GeneralCategory as Category;
        match (character, CodePointMapData::<Category>::new().get(character)) {
            (' ', _) => Self::Space,
            ('.' | '_' | '-' | '\'' | '@' | '+', _) => Self::Sign,
            (
                _,
                Category::UppercaseLetter
                | Category::LowercaseLetter
                | Category::TitlecaseLetter
                | Category::ModifierLetter
                | Category::OtherLetter
                | Category::DecimalNumber,
            ) => Self::Letter,
            (_, Category::NonspacingMark | Category::SpacingMark) => Self::Mark,
            _ => Self::Other,
        }
    }
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
    matches!(
        CodePointMapData::<GeneralCategory>::new().get(character),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// Characters that nobody sees, or that break a line, in what is only shown. Not by [`is_forbidden`], whose table every component would have.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}')
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn names_that_are_the_same_to_people_share_their_key() {
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
            ("michel.ranu", "michel.ranu\u{fe0f}"),
            ("michel", "ｍｉｃｈｅｌ"),
            ("\u{3164}a", "a"),
            ("ﬁn", "fin"),
            ("Ⅸ", "ix"),
        ] {
            assert_eq!(sameness_key(one), sameness_key(other), "{one} {other}");
        }
        assert_ne!(sameness_key("eve"), sameness_key("ève"));
    }

    #[test]
    fn the_key_of_a_key_is_itself() {
        for character in '\0'..=char::MAX {
            let key = sameness_key(&character.to_string());
            assert_eq!(sameness_key(&key), key, "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn a_new_name_is_one_that_people_can_read_and_write() {
        let check = |text: &str, refused: Option<UnfitUsername>| {
            let username = Username::try_from(text.to_owned()).unwrap();
            assert_eq!(NewUsername::try_from(&username).err(), refused, "{text:?}");
        };
        for name in [
            "michel.ranu",
            "Ève Dupont",
            "李小龍",
            "o'brien",
            "a@b.c+d",
            "jean-luc_2",
            "Иван",
            "أحمد",
            "अनुष्का",
            "ひらがな漢字カタカナ",
            "김철수 Kim",
            "Chérif محمد",
        ] {
            check(name, None);
        }
        for name in ["\u{3164}", "michel.ranu\u{fe0f}", "🔐", "a;b", "a\u{2800}b", "\u{13441}", "a/b", "1\u{20e3}"] {
            check(name, Some(UnfitUsername::Character));
        }
        check("a  b", Some(UnfitUsername::Order));
        check("a \u{301}b", Some(UnfitUsername::Order));
        check("ｍｉｃｈｅｌ", Some(UnfitUsername::NotPlain { plain: "michel".to_owned() }));
        check("a\u{a0}b", Some(UnfitUsername::NotPlain { plain: "a b".to_owned() }));
        // Cyrillic and Greek letters among Latin ones.
        for name in ["m\u{456}chel", "p\u{430}ul", "\u{3bf}mega"] {
            check(name, Some(UnfitUsername::MixedScripts));
        }
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
