//! `read_audit`: an operator reads the audit.

use crate::operations::case::Requester;
use crate::operations::env::{Clock, Env};
use crate::operations::operator::{OperatorError, done, require_operator};
use crate::store::accounts::AuditFilter;
use crate::store::interface::OperatorStore;
use crate::types::audit::{Action, AuditEntry};
use crate::types::bearer::Bearer;
use crate::types::keys::OperatorKeys;
use crate::types::username::Username;
use rand_core::CryptoRng;

/// Which part of the audit an operator asks for.
#[derive(Debug)]
pub struct ReadAudit {
    /// Only attempts under this name.
    pub username: Option<Username>,
    /// Only rows older than the row of this number.
    pub before: Option<i64>,
    /// At most so many rows.
    pub limit: i64,
    /// The operator's token.
    pub bearer: Bearer,
}

/// Reads the audit, the newest row first.
///
/// # Errors
/// See [`OperatorError`].
pub fn read_audit(
    env: &mut Env<impl OperatorStore, impl Clock, impl CryptoRng, OperatorKeys>,
    command: &ReadAudit,
) -> Result<Vec<AuditEntry>, OperatorError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let name = command.username.as_ref().map(Username::as_str);
    let operator = context.keys.operator.as_ref().ok_or(OperatorError::NotOffered)?;
    let requester = Requester::new(context, "", &operator.digest_key(), now);
    let attempt = requester.attempt(Action::AuditRead, name);
    let proof = require_operator(store, Some(operator), &command.bearer, &attempt)?;
    done(store.note_audit_read(&attempt.by_operator(), &proof)?)?;
    let filter = AuditFilter { username: name, before: command.before, limit: command.limit };
    Ok(store.read_audit(&proof, &filter)?)
}
