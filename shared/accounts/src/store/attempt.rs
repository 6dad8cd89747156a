//! One attempt, as the store counts and audits it.

use crate::limits::rate_limit::{AttemptOutcome, RateLimitKeys};
use crate::types::audit::{Action, Caller, ProofKind};
use crate::types::settings::Limits;
use crate::types::time::UnixTime;

/// One attempt at one operation. The statement that carries it out or refuses it writes exactly one audit row.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What was asked.
    pub action: Action,
    /// The given name, whether an account has it or not; none if the operation has no name.
    pub username: Option<&'a str>,
    /// What the audit row of a refusal says instead of the name, if the name may be a password.
    pub alias: Option<&'a str>,
    /// Who asked.
    pub caller: &'a Caller,
    /// When.
    pub at: UnixTime,
    /// The accepted proof.
    pub proof: Option<ProofKind>,
    /// The keys of the counts.
    pub rate_limit_keys: &'a RateLimitKeys,
    /// The limits of the counts.
    pub limits: &'a Limits,
    /// Whether one of the account's last logins came from the caller's address.
    pub known_address: bool,
    /// Whether failures of the name were counted.
    pub name_has_failures: bool,
    /// The outcome, for the counts.
    pub outcome: AttemptOutcome,
    /// The names of the keys that rows need after it, separated by commas.
    pub needed_keys: &'a str,
}

impl Attempt<'_> {
    /// The same attempt with its outcome.
    #[must_use]
    pub const fn with_outcome(self, outcome: AttemptOutcome) -> Self {
        Self { outcome, ..self }
    }

    /// The same attempt by an operator.
    #[must_use]
    pub(crate) const fn by_operator(self) -> Self {
        Self { proof: Some(ProofKind::Operator), outcome: AttemptOutcome::TokenAccepted, ..self }
    }
}
