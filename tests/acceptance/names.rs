//! Names: which of them are one.

use cofrap_accounts::sameness_key;
use cofrap_tests::caseless;
use std::collections::HashMap;

/// Letters that are too new for the compiler's tables are left out.
#[test]
fn letters_that_match_without_case_share_their_key() {
    let mut keys = HashMap::new();
    for letter in ('\0'..=char::MAX).filter(|letter| letter.is_alphanumeric()).map(String::from) {
        let key = keys.entry(caseless(&letter)).or_insert_with(|| sameness_key(&letter));
        assert_eq!(*key, sameness_key(&letter), "{letter}");
    }
}
