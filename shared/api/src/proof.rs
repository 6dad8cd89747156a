//! The fields of a request that replaces a credential in which the caller shows proof.

use crate::{Field, Problem};
use cofrap_accounts::{Bearer, Evidence};

/// The fields, unchecked.
#[derive(Debug)]
pub(crate) struct ProofFields {
    pub(crate) password: Field,
    pub(crate) code: Field,
    pub(crate) renewal_token: Field,
    pub(crate) challenge: Field,
}

impl ProofFields {
    /// Reads every field. An empty token counts as an invalid one.
    pub(crate) fn present(self, bearer: Bearer) -> Result<Evidence, Problem> {
        Ok(Evidence {
            bearer,
            password: self.password.optional_password()?,
            code: self.code.code("2FA_code")?,
            renewal: self.renewal_token.optional_text("renewal_token")?,
            challenge: self.challenge.optional_text("challenge")?,
        })
    }
}
