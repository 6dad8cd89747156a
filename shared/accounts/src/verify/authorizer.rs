//! Decides who may replace an account's credentials, and who may create an account.

use crate::limits::rate_limit::{AttemptOutcome, RateLimitCounts, RateLimitKeys, TooManyAttempts};
use crate::types::account::{Access, Account, AccountStatus, AdminIntervention, Origin, State};
use crate::types::audit::{ProofKind, Reason};
use crate::types::bearer::Bearer;
use crate::types::keys::IssuanceKeys;
use crate::types::settings::{Refusals, Registration, ReplacementRule, Settings};
use crate::types::time::UnixTime;
use crate::verify::credentials::{
    CredentialCheck, Factors, PasswordStorage, SubmittedCode, check_code, check_credentials, check_locks,
    check_password, spend_equal_time,
};
use crate::verify::grant::{Grant, GrantReason};
use crate::verify::login_token::{is_valid_challenge, is_valid_renewal};
use crate::verify::refusal::Refusal;
use crate::verify::session_token::{is_recent, valid_claims};
use cofrap_crypto::{Password, SessionId, TotpStep};
use zeroize::Zeroizing;

/// For how many seconds after a credential was issued only the same address may start an account over.
const START_OVER_PATIENCE: u64 = 900;

/// What a caller shows in order to replace a credential.
#[derive(Debug)]
pub struct Evidence {
    /// A session, or the operator's token.
    pub bearer: Bearer,
    /// The current password.
    pub password: Option<Password>,
    /// The current code.
    pub code: SubmittedCode,
    /// A renewal token.
    pub renewal: Option<Zeroizing<String>>,
    /// A challenge.
    pub challenge: Option<Zeroizing<String>>,
}

impl Evidence {
    /// A bearer token and nothing else.
    pub(crate) const fn of_bearer(bearer: Bearer) -> Self {
        Self { bearer, password: None, code: SubmittedCode::Missing, renewal: None, challenge: None }
    }

    fn is_empty(&self) -> bool {
        self.password.is_none() && self.renewal.is_none() && self.challenge.is_none() && self.bearer.token().is_none()
    }
}

/// The credential that a caller wants to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialKind {
    Password,
    SecondFactor,
}

/// Why a request for credentials is denied.
pub(crate) enum Denied {
    /// A rate limit was reached: the evidence was not checked.
    Locked(TooManyAttempts),
    Refused {
        refusal: Refusal,
        outcome: AttemptOutcome,
        denial: PublicDenial,
    },
}

/// What a denied caller learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PublicDenial {
    UnknownUser,
    ProofRequired,
    InvalidCredentials,
    AccountDisabled,
}

/// Everything that a decision depends on besides the account.
pub(crate) struct Authorizer<'a> {
    pub(crate) keys: &'a IssuanceKeys,
    /// How this version of the API stores passwords, which decides how long a check takes at least.
    pub(crate) storage: PasswordStorage,
    pub(crate) settings: &'a Settings,
    pub(crate) counts: &'a RateLimitCounts,
    pub(crate) rate_limit_keys: &'a RateLimitKeys,
    pub(crate) evidence: &'a Evidence,
    pub(crate) now: UnixTime,
}

impl Authorizer<'_> {
    /// Whether the caller shows the operator's token.
    pub(crate) fn shows_operator_token(&self) -> bool {
        match (&self.keys.operator, self.evidence.bearer.token()) {
            (Some(operator), Some(token)) => operator.matches(token),
            _ => false,
        }
    }

    /// Whether the caller shows a challenge, a renewal token, or a bearer token that is neither the operator's nor a session. Such a token
    /// is checked even where no proof is required: whoever shows one relies on it.
    fn shows_token(&self) -> bool {
        let is_unknown = |token| self.keys.tokens.verify_session(token).is_err();
        self.evidence.renewal.is_some()
            || self.evidence.challenge.is_some()
            || (!self.shows_operator_token() && self.evidence.bearer.token().is_some_and(is_unknown))
    }

    /// Whether the caller may create an account: an operator may, and everybody where registration is open.
    pub(crate) fn may_create(&self) -> Result<AdminIntervention, Denied> {
        if self.shows_operator_token() {
            self.check_address()?;
            Ok(AdminIntervention::Happened)
        } else if self.settings.registration == Registration::Open && !self.shows_token() {
            Ok(AdminIntervention::Never)
        } else {
            Err(self.deny_nobody())
        }
    }

    /// The denial for a name without an account where none is created. Under the legacy policy, and to an operator, it says so.
    pub(crate) fn deny_unknown(&self) -> Denied {
        if self.settings.policy.rules().refusals == Refusals::Distinct || self.shows_operator_token() {
            let refusal = Refusal::of(None, Reason::UnknownUser);
            return Denied::Refused { refusal, outcome: AttemptOutcome::NotChecked, denial: PublicDenial::UnknownUser };
        }
        self.deny_nobody()
    }

    /// The denial for a name without an account: the same as for an account whose proof is wrong.
    pub(crate) fn deny_nobody(&self) -> Denied {
        let refused =
            |outcome, denial| Denied::Refused { refusal: Refusal::of(None, Reason::UnknownUser), outcome, denial };
        let evidence = self.evidence;
        let shows_login_token = evidence.renewal.is_some() || evidence.challenge.is_some();
        if evidence.is_empty() || self.shows_operator_token() {
            return refused(AttemptOutcome::NotChecked, PublicDenial::ProofRequired);
        }
        if let Err(denied) = self.check_address() {
            return denied;
        }
        let Some(password) = evidence.password.as_ref().filter(|_| !shows_login_token) else {
            return refused(AttemptOutcome::TokenFailed, PublicDenial::ProofRequired);
        };
        if let Err(error) = check_locks(None, self.counts, &self.settings.limits, self.now) {
            return Denied::Locked(error);
        }
        spend_equal_time(&self.keys.keyring, self.storage, password, self.now);
        refused(AttemptOutcome::CredentialsFailed, PublicDenial::InvalidCredentials)
    }

    /// Decides whether the caller may replace a credential of an account.
    pub(crate) fn authorize<'a>(&self, kind: CredentialKind, account: &'a Account) -> Result<Grant<'a>, Denied> {
        let grant = |reason| Ok(Grant::new(account, reason));
        let is_intact = account.is_intact(&self.keys.keyring);
        if self.shows_operator_token() {
            self.check_address()?;
            let deny = |reason, denial| Err(refused(account, reason, AttemptOutcome::TokenAccepted, denial));
            return match account.status.access {
                _ if !is_intact => deny(Reason::AlteredRow, PublicDenial::ProofRequired),
                Access::Enabled => grant(GrantReason::Proof(ProofKind::Operator)),
                Access::Disabled => deny(Reason::Disabled, PublicDenial::AccountDisabled),
            };
        }
        let shows_token = self.shows_token();
        if is_intact && !shows_token && self.is_open_without_proof(kind, account) {
            return grant(GrantReason::Unproven);
        }
        if is_intact && !shows_token && self.is_open_by_policy(account) {
            return grant(GrantReason::Policy);
        }
        if self.evidence.is_empty() {
            let reason = if is_intact { Reason::ProofRequired } else { Reason::AlteredRow };
            return Err(refused(account, reason, AttemptOutcome::NotChecked, PublicDenial::ProofRequired));
        }
        self.check_address()?;
        self.check_evidence(kind, account, is_intact)
    }

    /// Checks the first kind of evidence that the caller shows.
    fn check_evidence<'a>(
        &self,
        kind: CredentialKind,
        account: &'a Account,
        is_intact: bool,
    ) -> Result<Grant<'a>, Denied> {
        let proven_by = |proof| Grant::new(account, GrantReason::Proof(proof));
        let wrong_token =
            || refused(account, Reason::InvalidToken, AttemptOutcome::TokenFailed, PublicDenial::ProofRequired);
        let evidence = self.evidence;
        if let Some(token) = &evidence.renewal {
            let is_valid = is_intact && is_valid_renewal(&self.keys.tokens, token, account, self.now);
            return if is_valid { Ok(proven_by(ProofKind::Renewal)) } else { Err(wrong_token()) };
        }
        if let Some(token) = &evidence.challenge {
            let enrols = kind == CredentialKind::SecondFactor && self.may_enrol(account);
            let is_valid = is_intact && enrols && self.is_valid_challenge(token, account);
            return if is_valid { Ok(proven_by(ProofKind::Challenge)) } else { Err(wrong_token()) };
        }
        if let Some(password) = &evidence.password {
            return self.check_credentials(kind, account, password);
        }
        let session = evidence.bearer.token().filter(|_| is_intact).and_then(|token| self.session(token, account));
        let session = session.ok_or_else(wrong_token)?;
        Ok(proven_by(ProofKind::Session).with_session(session))
    }

    /// The time step of the code, if the evidence is the previous password, while that is accepted, and a fresh code. Whoever lost the
    /// answer with the present password may ask again with the previous one.
    fn previous_password_step(&self, account: &Account, password: &Password) -> Option<TotpStep> {
        let previous = account.previous.as_ref().filter(|previous| self.now <= previous.ends)?;
        let AccountStatus { state, access, .. } = account.status;
        if (state, access) != (State::Active, Access::Enabled) {
            return None;
        }
        let keyring = &self.keys.keyring;
        check_password(keyring, PasswordStorage::Sealed, account, &previous.secret, password, self.now).ok()?;
        let code = check_code(keyring, account, &self.evidence.code, Factors::InForce, self.now);
        code.ok().map(|code| code.step)
    }

    /// A password, or a password and a code, as proof counts as a login attempt.
    fn check_credentials<'a>(
        &self,
        kind: CredentialKind,
        account: &'a Account,
        password: &Password,
    ) -> Result<Grant<'a>, Denied> {
        check_locks(Some(account), self.counts, &self.settings.limits, self.now).map_err(Denied::Locked)?;
        let proven_by = |proof| Grant::new(account, GrantReason::Proof(proof));
        let shown = (password, &self.evidence.code);
        let is_its_creator_s = self.is_unproven_creation(account)
            || kind == CredentialKind::SecondFactor && is_unproven(account, self.settings);
        let is_without_code = is_its_creator_s && matches!(self.evidence.code, SubmittedCode::Missing);
        let factors = if is_without_code { Factors::Unproven } else { Factors::InForce };
        let checked = check_credentials(&self.keys.keyring, self.storage, account, shown, factors, self.now);
        let is_another_password = matches!(checked, CredentialCheck::Wrong { reason: Reason::WrongPassword, .. });
        if is_another_password && let Some(step) = self.previous_password_step(account, password) {
            return Ok(proven_by(ProofKind::PreviousCredentials).with_step(step));
        }
        let accepted_but = |reason, denial| refused(account, reason, AttemptOutcome::CredentialsAccepted, denial);
        match checked {
            CredentialCheck::Wrong { reason, wrong_code } => Err(Denied::Refused {
                refusal: Refusal {
                    right_password: reason.is_of_the_code(),
                    wrong_code,
                    ..Refusal::of(Some(account.id), reason)
                },
                outcome: AttemptOutcome::CredentialsFailed,
                denial: PublicDenial::InvalidCredentials,
            }),
            checked if account.status.access == Access::Disabled => {
                let step = if let CredentialCheck::Both(factors) = checked { Some(factors.code.step) } else { None };
                Err(Denied::Refused {
                    refusal: Refusal { step, ..Refusal::of(Some(account.id), Reason::Disabled) },
                    outcome: AttemptOutcome::CredentialsAccepted,
                    denial: PublicDenial::AccountDisabled,
                })
            }
            // After an operator's intervention, only an operator changes an account that nobody has completed.
            CredentialCheck::Both(_)
                if account.status.state == State::Provisional && account.status.had_admin_intervention() =>
            {
                Err(accepted_but(Reason::ProofRequired, PublicDenial::ProofRequired))
            }
            CredentialCheck::Both(factors) => Ok(proven_by(ProofKind::Credentials).with_step(factors.code.step)),
            CredentialCheck::PasswordAlone(_)
                if is_its_creator_s || kind == CredentialKind::SecondFactor && self.may_enrol(account) =>
            {
                Ok(proven_by(ProofKind::Credentials))
            }
            CredentialCheck::PasswordAlone(_) => Err(accepted_but(Reason::ProofRequired, PublicDenial::ProofRequired)),
        }
    }

    /// Whether no proof is required, because nobody has proven to own the account: whoever asked for it may start over, or enrol once.
    fn is_open_without_proof(&self, kind: CredentialKind, account: &Account) -> bool {
        account.status.origin == Origin::SelfRegistered
            && is_unproven(account, self.settings)
            && match kind {
                CredentialKind::Password => account.last_issuance.as_ref().is_none_or(|(at, address)| {
                    self.now.since(*at).seconds() > START_OVER_PATIENCE || self.rate_limit_keys.is_known_digest(address)
                }),
                CredentialKind::SecondFactor => account.second_factor.is_none(),
            }
    }

    fn is_open_by_policy(&self, account: &Account) -> bool {
        let AccountStatus { state, admin_intervention, access, .. } = account.status;
        self.settings.policy.rules().replacement == ReplacementRule::Open
            && (admin_intervention, access) == (AdminIntervention::Never, Access::Enabled)
            && (self.settings.registration == Registration::Open || state == State::Active)
    }

    /// Whether the password or a challenge alone permits enrolling a second factor: the account is enabled and has none, or none that
    /// anybody has proven, and its time to enrol is not over.
    fn may_enrol(&self, account: &Account) -> bool {
        (account.second_factor.is_none() || is_unproven(account, self.settings))
            && account.status.access == Access::Enabled
            && account.enrolment_ends.is_none_or(|end| self.now <= end)
            && (account.status.state == State::Active
                || account.status.origin == Origin::External
                || is_unproven(account, self.settings))
    }

    /// Whether the account's chosen password is all that anybody has proven. Until the first complete login it alone permits replacing both
    /// credentials.
    fn is_unproven_creation(&self, account: &Account) -> bool {
        account.status.origin == Origin::ChosenPassword && is_unproven(account, self.settings)
    }

    fn is_valid_challenge(&self, token: &str, account: &Account) -> bool {
        is_valid_challenge(&self.keys.tokens, token, account, self.counts, &self.settings.limits, self.now)
    }

    /// The session of a token, if it is a recent one of this account. The store checks whether it was ended.
    fn session(&self, token: &str, account: &Account) -> Option<SessionId> {
        let claims = valid_claims(&self.keys.tokens, self.settings, token, self.now)?;
        let is_valid = account.status.access == Access::Enabled
            && claims.user_id == account.id.0
            && Some(claims.identity) == account.counters.identity
            && claims.epoch == account.counters.session_epoch
            && is_recent(&claims, self.now);
        is_valid.then_some(claims.session_id)
    }

    fn check_address(&self) -> Result<(), Denied> {
        self.counts.check_address(&self.settings.limits, self.now).map_err(Denied::Locked)
    }
}

/// Whether nobody has proven to own the account: no complete login, no operator's intervention, made by these functions, and registration is
/// open.
pub(crate) fn is_unproven(account: &Account, settings: &Settings) -> bool {
    let AccountStatus { state, origin, admin_intervention, access } = account.status;
    state == State::Provisional
        && matches!(origin, Origin::SelfRegistered | Origin::ChosenPassword)
        && (admin_intervention, access) == (AdminIntervention::Never, Access::Enabled)
        && settings.registration == Registration::Open
}

fn refused(account: &Account, reason: Reason, outcome: AttemptOutcome, denial: PublicDenial) -> Denied {
    Denied::Refused { refusal: Refusal::of(Some(account.id), reason), outcome, denial }
}
