//! What all operations of an operator share: the check of the token, and their errors.

use crate::limits::rate_limit::AttemptOutcome;
use crate::operations::case::record_refusal;
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, Stopped, StoreError};
use crate::store::interface::Store;
use crate::types::audit::Reason;
use crate::types::bearer::Bearer;
use crate::types::mask::mask_password_like;
use crate::verify::operator::OperatorProof;
use crate::verify::refusal::Refusal;
use cofrap_crypto::SharedSecret;

/// Why an operator's request was refused.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No operator's token is configured: the function does not exist.
    #[error("no operator's token is configured")]
    NotOffered,
    /// The token is wrong.
    #[error("the operator's token does not hold")]
    InvalidToken,
    /// There is no such account.
    #[error("there is no such account")]
    UnknownUser,
    /// The MAC of the account's status is wrong. An action would write a right one.
    #[error("the account's row was altered")]
    Altered,
    /// Another request changed the account first.
    #[error("another request changed the account first")]
    Overtaken,
    /// A rate limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Checks the operator's token. A wrong one counts for the address, and is recorded as a refusal.
pub(crate) fn require_operator(
    store: &mut impl Store,
    operator: Option<&SharedSecret>,
    bearer: &Bearer,
    attempt: &Attempt<'_>,
) -> Result<OperatorProof, OperatorError> {
    let operator = operator.ok_or(OperatorError::NotOffered)?;
    if let Some(proof) = OperatorProof::of(operator, bearer) {
        return Ok(proof);
    }
    // A caller without the token may have typed anything as the name.
    let alias = attempt.username.and_then(|name| mask_password_like(name, &operator.digest_key()));
    let attempt = Attempt { alias: alias.as_deref(), ..attempt.with_outcome(AttemptOutcome::TokenFailed) };
    record_refusal(store, &attempt, &Refusal::of(None, Reason::InvalidToken))?;
    Err(OperatorError::InvalidToken)
}

/// The result of a change, if it was made.
pub(crate) fn done<T>(saved: Saved<T>) -> Result<T, OperatorError> {
    match saved {
        Saved::Yes(done) => Ok(done),
        Saved::Overtaken | Saved::Resealed | Saved::SessionEnded => Err(OperatorError::Overtaken),
        Saved::Locked => Err(Stopped::locked_meanwhile().into()),
    }
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
