//! The operator's token, and the proof of it that the database checks.

use crate::types::bearer::Bearer;
use cofrap_crypto::SharedSecret;
use std::fmt;

/// A digest that proves to the database that the caller showed the operator's token. Only [`OperatorProof::of`] makes one from a request.
pub struct OperatorProof(String);

impl OperatorProof {
    /// The proof, if the bearer token is the operator's.
    pub(crate) fn of(operator: &SharedSecret, bearer: &Bearer) -> Option<Self> {
        bearer.token().filter(|token| operator.matches(token)).map(|_| Self(operator.proof()))
    }

    /// For the owner of the database's tables, who needs no proof.
    pub(crate) const fn of_owner() -> Self {
        Self(String::new())
    }

    /// The text that the database compares.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OperatorProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorProof(redacted)")
    }
}
