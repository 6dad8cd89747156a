//! A bearer token as a request brought it.

use std::fmt;
use zeroize::Zeroizing;

/// A bearer token, unchecked. RFC 6750, section 2.1.
#[derive(Default)]
pub struct Bearer(Option<Zeroizing<String>>);

impl Bearer {
    /// The token of a request; an empty one counts as none.
    #[must_use]
    pub fn new(token: Option<Zeroizing<String>>) -> Self {
        Self(token.filter(|token| !token.is_empty()))
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.0.as_ref().map(|token| token.as_str())
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Bearer(redacted)" } else { "Bearer(absent)" })
    }
}
