//! A password that somebody chose, and what makes it strong enough.

use crate::types::username::{Username, sameness_key};
use cofrap_crypto::{Keyring, Password, PasswordHash, Sealed, SecretColumn};
use rand_core::CryptoRng;

/// The most common passwords in lower case, one on each line: see the folder's README.
const COMMON: &str = include_str!("../../common-passwords/list.txt");

/// Characters that a password of all four classes has.
const LENGTH_WITH_CLASSES: usize = 12;

/// Characters that any password has.
const LENGTH: usize = 20;

/// A password that its owner chose: strong, and of at most [`PasswordHash::MAX_BYTES`] bytes.
#[derive(Debug)]
pub struct ChosenPassword(Password);

/// Why a password may not be chosen.
#[derive(Debug, PartialEq, Eq)]
pub enum UnfitPassword {
    /// bcrypt cannot hash all of it.
    Unhashable,
    /// It is easy to guess: all the reasons.
    Weak(Vec<Weakness>),
}

/// Why a password is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// It has fewer than 12 characters.
    Short,
    /// It has fewer than 20 characters, and none of this class.
    Lacks(CharacterClass),
    /// It has the account's name in it, in whatever case.
    ContainsName,
    /// It is one of the most common passwords, or one of them in disguise.
    Common,
}

/// What a character is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CharacterClass {
    /// A letter in upper case.
    Uppercase,
    /// A letter in lower case.
    Lowercase,
    /// A digit.
    Digit,
    /// Anything else.
    Special,
}

impl ChosenPassword {
    /// Checks a password for an account of that name.
    ///
    /// # Errors
    /// [`UnfitPassword`]
    pub fn new(password: Password, username: &Username) -> Result<Self, UnfitPassword> {
        if !PasswordHash::can_hash(&password) {
            return Err(UnfitPassword::Unhashable);
        }
        let weaknesses = weaknesses(password.expose(), username);
        if weaknesses.is_empty() { Ok(Self(password)) } else { Err(UnfitPassword::Weak(weaknesses)) }
    }

    /// Its hash, as the account keeps it.
    pub(crate) fn hash(&self, keyring: &Keyring, owner: &Username, rng: &mut impl CryptoRng) -> Sealed {
        let context = SecretColumn::Password.of(owner.as_str());
        keyring.hash(&self.0, context, rng).expect("what cannot be hashed was refused")
    }
}

/// Whether a text has the shape of a strong password: a user may have typed it into the field for the name. Common passwords count too.
pub(crate) fn is_password_like(text: &str) -> bool {
    weaknesses_of_shape(text).is_empty()
}

fn weaknesses(password: &str, username: &Username) -> Vec<Weakness> {
    let mut found = weaknesses_of_shape(password);
    let name = username.sameness_key();
    if !name.is_empty() && sameness_key(password).contains(&name) {
        found.push(Weakness::ContainsName);
    }
    if is_common(password) {
        found.push(Weakness::Common);
    }
    found
}

/// Weaknesses of length and character classes.
fn weaknesses_of_shape(password: &str) -> Vec<Weakness> {
    let length = password.chars().count();
    let mut found = Vec::new();
    if length < LENGTH_WITH_CLASSES {
        found.push(Weakness::Short);
    }
    if length < LENGTH {
        let lacks = |class: &CharacterClass| !password.chars().any(|character| CharacterClass::of(character) == *class);
        found.extend(CharacterClass::ALL.into_iter().filter(lacks).map(Weakness::Lacks));
    }
    found
}

impl CharacterClass {
    const ALL: [Self; 4] = [Self::Uppercase, Self::Lowercase, Self::Digit, Self::Special];

    fn of(character: char) -> Self {
        if character.is_uppercase() {
            Self::Uppercase
        } else if character.is_lowercase() {
            Self::Lowercase
        } else if character.is_numeric() {
            Self::Digit
        } else {
            Self::Special
        }
    }
}

/// Whether a password is a common one once case, substitutions and what was appended to it are undone: digits, and where the
/// password is not long enough for anything, whatever is no letter.
fn is_common(password: &str) -> bool {
    let lower = password.to_lowercase();
    let is_long = lower.chars().count() >= LENGTH;
    let is_appended = |character: char| character.is_numeric() || (!is_long && !character.is_alphabetic());
    let mut plain = lower.as_str();
    loop {
        if COMMON.lines().any(|common| plain_letters(common).eq(plain_letters(plain))) {
            return true;
        }
        match plain.char_indices().next_back() {
            Some((end, last)) if is_appended(last) => plain = &plain[..end],
            Some(_) | None => return false,
        }
    }
}

/// The letters that a text would have without the usual substitutions. Characters that stand for the same letter become one.
fn plain_letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|character| match character {
        '@' | '4' => 'a',
        '8' => 'b',
        '(' => 'c',
        '3' | '€' => 'e',
        '6' | '9' => 'g',
        '1' | '!' | '|' | 'l' => 'i',
        '0' => 'o',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '2' => 'z',
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(password: &str, expected: &[Weakness]) {
        let username = Username::try_from("Michel".to_owned()).unwrap();
        assert_eq!(weaknesses(password, &username), expected, "{password}");
    }

    #[test]
    fn twelve_characters_of_all_classes_or_twenty_are_strong() {
        use CharacterClass::{Digit, Lowercase, Special, Uppercase};
        check("Kalt-Regen-42", &[]);
        check("Kalt-Regen42", &[]);
        check("Kalt-Rege42", &[Weakness::Short]);
        check("kalt-regen-42", &[Weakness::Lacks(Uppercase)]);
        check("KALT-REGEN-42", &[Weakness::Lacks(Lowercase)]);
        check("Kalt-Regen-xx", &[Weakness::Lacks(Digit)]);
        check("KaltRegenxx42", &[Weakness::Lacks(Special)]);
        check("kalt regen im wald x", &[]);
        check("kalt regen im wald ", &[Weakness::Lacks(Uppercase), Weakness::Lacks(Digit)]);
        check("Élan-Öde-7é8", &[]);
    }

    #[test]
    fn a_password_does_not_contain_the_name_in_any_case() {
        check("Kalt-miCHel-42", &[Weakness::ContainsName]);
        check("vingt caracteres michel", &[Weakness::ContainsName]);
    }

    #[test]
    fn a_common_password_is_none_in_disguise_either() {
        for disguised in [
            "P@ssw0rd1234",
            "Password-2026!",
            "Sup3rman!!!2026",
            "F00tball_2026",
            "QwertyUiop!1",
            "Abc123!!2026",
            "Password1!!!!",
        ] {
            check(disguised, &[Weakness::Common]);
        }
        check("MyPassword-2026!", &[]);
        check("password12345678901234", &[Weakness::Common]);
        check("Blue#7391?8426!5530%", &[]);
        check(
            "123456",
            &[
                Weakness::Short,
                Weakness::Lacks(CharacterClass::Uppercase),
                Weakness::Lacks(CharacterClass::Lowercase),
                Weakness::Lacks(CharacterClass::Special),
                Weakness::Common,
            ],
        );
    }

    #[test]
    fn the_list_is_of_3000_different_words_in_lower_case() {
        let mut words: Vec<_> = COMMON.lines().collect();
        assert!(words.iter().all(|word| !word.is_empty() && word.to_lowercase() == **word));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 3000);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_common_ones_never_pass(text: String, common in 0_usize..3000, digits in "[0-9]{0,6}") {
            let _ = is_common(&text);
            let common = COMMON.lines().nth(common).unwrap();
            let disguised = format!("{}{digits}", common.replace('a', "@").replace('o', "0").to_uppercase());
            prop_assert!(is_common(&disguised));
        }
    }
}
