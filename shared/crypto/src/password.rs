//! Generated and submitted passwords.

use alloc::string::String;
use core::fmt;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const UPPERCASE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWERCASE: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";
const SPECIAL: &[u8] = b"!@#$%^&*()_+-=[]{}|;:,.<>?";
const CLASSES: [&[u8]; 4] = [UPPERCASE, LOWERCASE, DIGITS, SPECIAL];
const ALPHABET_SIZE: u8 = 88;

/// A clear-text password: redacted in `Debug`, wiped when dropped, readable only through [`Password::expose`].
pub struct Password(Zeroizing<String>);

/// The submitted password has more than [`Password::MAX_LENGTH`] characters.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has at most {} characters", Password::MAX_LENGTH)]
pub struct PasswordTooLong;

impl Password {
    /// Characters in a generated password.
    pub const GENERATED_LENGTH: usize = 24;

    /// Characters that a submitted password may have.
    pub const MAX_LENGTH: usize = 100;

    /// Draws a password of [`Self::GENERATED_LENGTH`] characters, each uniform over upper case, lower case, digits and
    /// special characters; a draw that lacks one of the four classes is thrown away.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        loop {
            let mut drawn = Zeroizing::new(String::with_capacity(Self::GENERATED_LENGTH));
            while drawn.len() < Self::GENERATED_LENGTH {
                drawn.push(draw_character(rng));
            }
            if has_every_class(&drawn) {
                return Self(drawn);
            }
        }
    }

    /// Takes a password as somebody typed it: nothing is trimmed or normalised.
    ///
    /// # Errors
    /// [`PasswordTooLong`] past [`Self::MAX_LENGTH`] characters.
    pub fn submitted(text: Zeroizing<String>) -> Result<Self, PasswordTooLong> {
        let password = Self(text);
        if password.0.chars().count() > Self::MAX_LENGTH {
            return Err(PasswordTooLong);
        }
        Ok(password)
    }

    /// Whether both are the same, in a time that depends on their lengths only.
    #[must_use]
    pub fn matches(&self, stored: &str) -> bool {
        self.0.as_bytes().ct_eq(stored.as_bytes()).into()
    }

    /// The clear text, for the QR code and for sealing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// One character, uniform: bytes past the last whole multiple of the alphabet's size are drawn again.
fn draw_character(rng: &mut impl CryptoRng) -> char {
    const FAIR: u8 = u8::MAX - u8::MAX % ALPHABET_SIZE;
    loop {
        let mut byte = [0];
        rng.fill_bytes(&mut byte);
        if byte[0] < FAIR {
            let index = usize::from(byte[0] % ALPHABET_SIZE);
            return char::from(
                *CLASSES.iter().copied().flatten().nth(index).expect("the index is below the alphabet's size"),
            );
        }
    }
}

fn has_every_class(text: &str) -> bool {
    CLASSES.iter().all(|class| text.bytes().any(|byte| class.contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn the_alphabet_is_the_four_classes_without_repetition() {
        let alphabet: BTreeSet<u8> = CLASSES.iter().copied().flatten().copied().collect();
        assert_eq!(alphabet.len(), usize::from(ALPHABET_SIZE));
        assert_eq!(CLASSES.iter().map(|class| class.len()).sum::<usize>(), usize::from(ALPHABET_SIZE));
    }

    #[test]
    fn two_thousand_passwords_are_distinct_and_no_position_is_biased() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let passwords: BTreeSet<String> = (0..2000).map(|_| Password::generate(&mut rng).expose().into()).collect();
        assert_eq!(passwords.len(), 2000);
        for position in 0..Password::GENERATED_LENGTH {
            let mut counts = [0_f64; 128];
            for password in &passwords {
                counts[usize::from(password.as_bytes()[position])] += 1.0;
            }
            let expected = 2000.0 / f64::from(ALPHABET_SIZE);
            let chi_squared: f64 = CLASSES
                .iter()
                .copied()
                .flatten()
                .map(|&c| (counts[usize::from(c)] - expected).powi(2) / expected)
                .sum();
            // The 0.999 quantile of chi-squared with 87 degrees of freedom is 133.5.
            assert!(chi_squared < 133.5, "position {position}: {chi_squared}");
        }
    }

    proptest! {
        #[test]
        fn a_generated_password_has_24_characters_of_all_four_classes(seed: u64) {
            let password = Password::generate(&mut ChaCha20Rng::seed_from_u64(seed));
            prop_assert_eq!(password.expose().chars().count(), 24);
            prop_assert!(has_every_class(password.expose()));
        }

        #[test]
        fn a_password_matches_itself_and_nothing_else(a in ".{0,40}", b in ".{0,40}") {
            let password = Password::submitted(Zeroizing::new(a.clone())).unwrap();
            prop_assert!(password.matches(&a));
            prop_assert_eq!(password.matches(&b), a == b);
        }
    }

    #[test]
    fn a_submitted_password_has_at_most_100_characters_whatever_their_bytes() {
        assert!(Password::submitted(Zeroizing::new("é".repeat(100))).is_ok());
        assert_eq!(Password::submitted(Zeroizing::new("e".repeat(101))).err(), Some(PasswordTooLong));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", Password::submitted(Zeroizing::new("hunter2".into())).unwrap()),
            "Password(redacted)"
        );
    }
}
