//! A [`Grant`]: the permission to replace one credential of one account.
//!
//! Only `verify` makes one, and the store replaces no credential without one.

use crate::limits::rate_limit::AttemptOutcome;
use crate::types::account::{Account, AccountStatus, AdminIntervention, Expiry, State};
use crate::types::audit::ProofKind;
use crate::types::settings::{ReplacementRule, Settings};
use crate::types::time::UnixTime;
use cofrap_crypto::{RowMac, SessionId, TotpStep};

/// The permission to replace a credential of one account.
#[derive(Debug)]
pub struct Grant<'a> {
    account: &'a Account,
    reason: GrantReason,
    step: Option<TotpStep>,
    session: Option<SessionId>,
}

/// Why the permission was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verify) enum GrantReason {
    /// Nobody has proven to own the account yet, and no proof is required.
    Unproven,
    /// The policy requires no proof.
    Policy,
    /// The caller showed a proof.
    Proof(ProofKind),
}

/// What happens to the previous password, which is still accepted as proof for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviousBecomes {
    /// It is accepted as before.
    Kept,
    /// It is no longer accepted.
    Forgotten,
    /// The present password takes its place.
    Replaced,
}

/// When a new second factor is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// Now.
    AtOnce,
    /// When one of its codes is accepted; until then the old one stays in force.
    AtItsFirstCode,
}

/// What every replacement of a credential changes besides the credential.
#[derive(Debug)]
pub struct CredentialChange<'a> {
    /// The account's status after it.
    pub status: AccountStatus,
    /// The MAC of that status.
    pub mac: &'a RowMac,
    /// Whether it happens under the legacy policy.
    pub legacy: bool,
}

impl<'a> Grant<'a> {
    pub(in crate::verify) const fn new(account: &'a Account, reason: GrantReason) -> Self {
        Self { account, reason, step: None, session: None }
    }

    /// The same for a code, whose time step is used up.
    pub(in crate::verify) fn with_step(self, step: TotpStep) -> Self {
        Self { step: Some(step), ..self }
    }

    /// The same for a session, which must still be open when the credential is replaced.
    pub(in crate::verify) fn with_session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The account whose credential may be replaced.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// The proof that the caller showed, if any.
    #[must_use]
    pub const fn proof(&self) -> Option<ProofKind> {
        match self.reason {
            GrantReason::Unproven | GrantReason::Policy => None,
            GrantReason::Proof(kind) => Some(kind),
        }
    }

    /// The time step of the code that the caller showed. It is used up.
    #[must_use]
    pub const fn step(&self) -> Option<TotpStep> {
        self.step
    }

    /// The session that the caller showed. It must not have been ended.
    #[must_use]
    pub const fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Whether the account starts over: nobody has proven to own it, and this caller does not either, so its credentials are all dropped.
    #[must_use]
    pub fn starts_over(&self) -> bool {
        let is_proven = matches!(
            self.reason,
            GrantReason::Proof(
                ProofKind::Credentials
                    | ProofKind::PreviousCredentials
                    | ProofKind::Session
                    | ProofKind::Renewal
                    | ProofKind::Challenge
            )
        );
        self.account.status.state == State::Provisional && !is_proven
    }

    /// What a new password does to the previous one.
    #[must_use]
    pub fn previous_after_password(&self, now: UnixTime) -> PreviousBecomes {
        let counts = self.account.previous.as_ref().is_some_and(|previous| now <= previous.ends);
        match self.proof() {
            // Nobody has seen the present password yet: this answer may be lost as well.
            Some(ProofKind::PreviousCredentials | ProofKind::Renewal) if counts => PreviousBecomes::Kept,
            Some(ProofKind::Operator) => PreviousBecomes::Forgotten,
            _ if self.starts_over() => PreviousBecomes::Forgotten,
            _ => PreviousBecomes::Replaced,
        }
    }

    /// What a new second factor does to the previous password.
    #[must_use]
    pub fn previous_after_second_factor(&self) -> PreviousBecomes {
        match self.proof() {
            Some(ProofKind::Credentials | ProofKind::Operator) => PreviousBecomes::Forgotten,
            _ => PreviousBecomes::Kept,
        }
    }

    /// Whether this is part of a renewal, whose token permits replacing both credentials.
    #[must_use]
    pub fn is_renewal(&self) -> bool {
        self.reason == GrantReason::Proof(ProofKind::Renewal)
    }

    /// When a new second factor is in force: at once unless an active account depends on an old one.
    #[must_use]
    pub fn takes_effect(&self) -> TakesEffect {
        let depends = self.account.second_factor.is_some() && self.account.status.state == State::Active;
        if depends && self.reason != GrantReason::Policy { TakesEffect::AtItsFirstCode } else { TakesEffect::AtOnce }
    }

    /// The account's status after the replacement.
    #[must_use]
    pub fn status_after(&self) -> AccountStatus {
        let admin_intervention = match self.reason {
            GrantReason::Proof(ProofKind::Operator) => AdminIntervention::Happened,
            _ => self.account.status.admin_intervention,
        };
        AccountStatus { admin_intervention, ..self.account.status }
    }

    /// Whether the account is marked as expired after the replacement, with factors of these issue times.
    pub(crate) fn expiry_after(
        &self,
        password_issued_at: UnixTime,
        second_factor_issued_at: UnixTime,
        now: UnixTime,
        settings: &Settings,
    ) -> Expiry {
        let max_age = settings.password_max_age;
        let is_marked = self.account.expiry != Expiry::Unmarked;
        if is_marked && self.account.would_have_expired(password_issued_at, second_factor_issued_at, now, max_age) {
            Expiry::Marked { since: self.account.marked_since(now, max_age) }
        } else {
            Expiry::Unmarked
        }
    }

    /// The outcome of the replacement, for the counts. A right password and code, and a renewal after which nothing is too old, end the
    /// failures in a row.
    pub(crate) fn outcome(&self, expiry: Expiry) -> AttemptOutcome {
        match self.proof() {
            None => AttemptOutcome::NotChecked,
            Some(ProofKind::Credentials) if self.step.is_some() => AttemptOutcome::Completed,
            Some(ProofKind::Credentials | ProofKind::PreviousCredentials) => AttemptOutcome::CredentialsAccepted,
            Some(ProofKind::Renewal) if expiry == Expiry::Unmarked => AttemptOutcome::Renewed,
            Some(ProofKind::Renewal | ProofKind::Session | ProofKind::Challenge | ProofKind::Operator) => {
                AttemptOutcome::TokenAccepted
            }
        }
    }

    /// What the replacement changes besides the credential.
    pub(crate) fn change<'b>(&self, mac: &'b RowMac, settings: &Settings) -> CredentialChange<'b> {
        CredentialChange {
            status: self.status_after(),
            mac,
            legacy: settings.policy.rules().replacement == ReplacementRule::Open,
        }
    }
}
