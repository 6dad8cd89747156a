//! Unicode's own answer to which texts differ only in case.

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizerBorrowed;

/// What two texts share that match without case. Unicode standard, section 3.13, D145: canonical caseless matching.
pub fn caseless(text: &str) -> String {
    let apart = |text: &str| DecomposingNormalizerBorrowed::new_nfd().normalize(text).into_owned();
    apart(&CaseMapper::new().fold_string(&apart(text)))
}
