//! Who may replace an account's credentials.
//!
//! A [`Grant`] is only made here, from what the account is and what the caller shows; the store replaces nothing for less.

use crate::credentials::{Factors, Judged, Scheme, check_locks, judge, judge_code, judge_nobody, judge_password};
use crate::session::{is_recent, read_claims};
use crate::ticket::{challenge_holds, renewal_holds};
use crate::{
    Access, Account, CredentialChange, Expiry, Generation, GenerationKeys, Operator, Origin, ProofKind, Reason,
    Refusal, Refusals, Registration, Settings, Standing, State, Subjects, SubmittedCode, TakesEffect, Tally, Throttles,
    TooManyAttempts, UnixTime,
};
use cofrap_crypto::{Binding, Password, SessionId, TotpStep};
use std::fmt;
use zeroize::Zeroizing;

/// How long after a generation only the same address starts an account over.
const START_OVER_PATIENCE: u64 = 900;

/// What a caller shows to replace a credential.
#[derive(Debug)]
pub struct Presented {
    /// The session, or the operator's token.
    pub bearer: Bearer,
    /// The current password.
    pub password: Option<Password>,
    /// The current code.
    pub code: SubmittedCode,
    /// The ticket of a login that was right and too late.
    pub renewal: Option<Zeroizing<String>>,
    /// The ticket of a right password.
    pub challenge: Option<Zeroizing<String>>,
}

/// A bearer token as it came. RFC 6750, section 2.1.
#[derive(Default)]
pub struct Bearer(Option<Zeroizing<String>>);

impl Bearer {
    /// The token of a request; an empty one is none.
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

/// The credential that a caller wants to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Password,
    SecondFactor,
}

/// Leave to replace a credential of one account. Only this module makes one.
#[derive(Debug)]
pub struct Grant<'a> {
    account: &'a Account,
    reason: GrantReason,
    step: Option<TotpStep>,
    session: Option<SessionId>,
}

/// What becomes of the password before the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviousBecomes {
    /// It stays what it is.
    Kept,
    /// It proves nothing any more.
    Forgotten,
    /// The present one takes its place.
    Replaced,
}

/// Why leave was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrantReason {
    /// Nobody has proven yet that the account is theirs, and nobody need.
    Unproven,
    /// The policy asks for no proof.
    Policy,
    Proof(ProofKind),
}

/// Why leave was not given.
pub(crate) enum Denied {
    /// A limit was reached: nothing was judged.
    Locked(TooManyAttempts),
    Refused {
        refusal: Refusal,
        tally: Tally,
        told: Told,
    },
}

/// What a caller without leave is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    UnknownUser,
    ProofRequired,
    InvalidCredentials,
    AccountDisabled,
}

/// What a decision stands on besides the account.
pub(crate) struct Judge<'a> {
    pub(crate) keys: &'a GenerationKeys,
    /// What judging a password costs at least.
    pub(crate) scheme: Scheme,
    pub(crate) settings: &'a Settings,
    pub(crate) throttles: &'a Throttles,
    pub(crate) subjects: &'a Subjects,
    pub(crate) presented: &'a Presented,
    pub(crate) now: UnixTime,
}

impl Judge<'_> {
    /// Whether the caller shows the operator's token.
    pub(crate) fn sees_operator(&self) -> bool {
        match (&self.keys.operator, self.presented.bearer.token()) {
            (Some(operator), Some(token)) => operator.matches(token),
            _ => false,
        }
    }

    /// Whether a ticket is shown, or a bearer token that is neither the operator's nor a session: somebody who shows one means
    /// something by it, so it is judged even where nothing need be shown.
    fn shows_token(&self) -> bool {
        let is_none_of_ours = |token| self.keys.tokens.verify_session(token).is_err();
        self.presented.renewal.is_some()
            || self.presented.challenge.is_some()
            || (!self.sees_operator() && self.presented.bearer.token().is_some_and(is_none_of_ours))
    }

    /// Who may create an account: the operator, and anybody where registration is open.
    pub(crate) fn may_create(&self) -> Result<Operator, Denied> {
        if self.sees_operator() {
            self.throttles.check_address(&self.settings.limits, self.now).map_err(Denied::Locked)?;
            Ok(Operator::Touched)
        } else if self.settings.registration == Registration::Open && !self.shows_token() {
            Ok(Operator::Untouched)
        } else {
            Err(self.deny_nobody())
        }
    }

    /// What a name without an account answers where none is created: that there is none, if the policy or the operator's
    /// token has that said.
    pub(crate) fn deny_unknown(&self) -> Denied {
        if self.settings.policy.rules().refusals == Refusals::Distinct || self.sees_operator() {
            let refusal = Refusal::of(None, Reason::UnknownUser);
            return Denied::Refused { refusal, tally: Tally::NotJudged, told: Told::UnknownUser };
        }
        self.deny_nobody()
    }

    /// What a name without an account answers: the same as one whose proof does not hold.
    pub(crate) fn deny_nobody(&self) -> Denied {
        let refused = |reason, tally, told| Denied::Refused { refusal: Refusal::of(None, reason), tally, told };
        let presented = self.presented;
        let by_ticket = presented.renewal.is_some() || presented.challenge.is_some();
        if presented.is_empty() || self.sees_operator() {
            return refused(Reason::UnknownUser, Tally::NotJudged, Told::ProofRequired);
        }
        if let Err(error) = self.throttles.check_address(&self.settings.limits, self.now) {
            return Denied::Locked(error);
        }
        let Some(password) = presented.password.as_ref().filter(|_| !by_ticket) else {
            return refused(Reason::UnknownUser, Tally::TokenFailure, Told::ProofRequired);
        };
        if let Err(error) = check_locks(None, self.throttles, &self.settings.limits, self.now) {
            return Denied::Locked(error);
        }
        judge_nobody(&self.keys.keyring, self.scheme, password, self.now);
        refused(Reason::UnknownUser, Tally::Failure, Told::InvalidCredentials)
    }

    /// Leave to replace a credential of an account that is there.
    pub(crate) fn authorise<'a>(&self, wanted: Wanted, account: &'a Account) -> Result<Grant<'a>, Denied> {
        let grant = |reason, step| Ok(Grant { account, reason, step, session: None });
        let is_intact = account.is_intact(&self.keys.keyring);
        if self.sees_operator() {
            self.check_address()?;
            return match account.standing.access {
                _ if !is_intact => Err(refused(account, Reason::AlteredRow, Tally::TokenRight, Told::ProofRequired)),
                Access::Enabled => grant(GrantReason::Proof(ProofKind::Operator), None),
                Access::Disabled => Err(refused(account, Reason::Disabled, Tally::TokenRight, Told::AccountDisabled)),
            };
        }
        let shows_token = self.shows_token();
        if is_intact && !shows_token && self.is_open_without_proof(wanted, account) {
            return grant(GrantReason::Unproven, None);
        }
        if is_intact && !shows_token && self.is_open_by_policy(account) {
            return grant(GrantReason::Policy, None);
        }
        if self.presented.is_empty() {
            let reason = if is_intact { Reason::ProofRequired } else { Reason::AlteredRow };
            return Err(refused(account, reason, Tally::NotJudged, Told::ProofRequired));
        }
        self.check_address()?;
        let no_token = || refused(account, Reason::InvalidToken, Tally::TokenFailure, Told::ProofRequired);
        let presented = self.presented;
        if let Some(token) = &presented.renewal {
            let holds = is_intact && renewal_holds(&self.keys.tokens, token, account, self.now);
            return if holds { grant(GrantReason::Proof(ProofKind::Renewal), None) } else { Err(no_token()) };
        }
        if let Some(token) = &presented.challenge {
            let enrols = wanted == Wanted::SecondFactor && self.may_enrol(account);
            let holds = is_intact && enrols && self.challenge_holds(token, account);
            return if holds { grant(GrantReason::Proof(ProofKind::Challenge), None) } else { Err(no_token()) };
        }
        if let Some(password) = &presented.password {
            return self.judge_credentials(wanted, account, password);
        }
        let session = presented.bearer.token().filter(|_| is_intact).and_then(|token| self.session(token, account));
        let session = session.ok_or_else(no_token)?;
        Ok(Grant { account, reason: GrantReason::Proof(ProofKind::Session), step: None, session: Some(session) })
    }

    /// The code's step, if these are the password before the present one, while that still counts, and a fresh code: whoever lost the
    /// answer that held the present one asks again.
    fn previous_holds(&self, account: &Account, password: &Password) -> Option<TotpStep> {
        let previous = account.previous.as_ref().filter(|previous| self.now <= previous.ends)?;
        let Standing { state, access, .. } = account.standing;
        if (state, access) != (State::Active, Access::Enabled) {
            return None;
        }
        let keyring = &self.keys.keyring;
        judge_password(keyring, Scheme::Sealed, account, &previous.secret, password, self.now).ok()?;
        let code = judge_code(keyring, account, &self.presented.code, Factors::InForce, self.now);
        code.ok().map(|code| code.step)
    }

    /// A password, or a password and a code, given as proof is a login attempt.
    fn judge_credentials<'a>(
        &self,
        wanted: Wanted,
        account: &'a Account,
        password: &Password,
    ) -> Result<Grant<'a>, Denied> {
        check_locks(Some(account), self.throttles, &self.settings.limits, self.now).map_err(Denied::Locked)?;
        let reason = GrantReason::Proof(ProofKind::Credentials);
        let shown = (password, &self.presented.code);
        let is_its_creator_s =
            self.is_unproven_creation(account) || wanted == Wanted::SecondFactor && is_unproven(account, self.settings);
        let is_without_code = is_its_creator_s && matches!(self.presented.code, SubmittedCode::Missing);
        let factors = if is_without_code { Factors::Unproven } else { Factors::InForce };
        let judged = judge(&self.keys.keyring, self.scheme, account, shown, factors, self.now);
        let is_another_password = matches!(judged, Judged::Wrong { reason: Reason::WrongPassword, .. });
        if is_another_password && let Some(step) = self.previous_holds(account, password) {
            let reason = GrantReason::Proof(ProofKind::PreviousCredentials);
            return Ok(Grant { account, reason, step: Some(step), session: None });
        }
        match judged {
            Judged::Wrong { reason, wrong_code } => Err(Denied::Refused {
                refusal: Refusal {
                    right_password: reason.is_of_the_code(),
                    wrong_code,
                    ..Refusal::of(Some(account.id), reason)
                },
                tally: Tally::Failure,
                told: Told::InvalidCredentials,
            }),
            judged if account.standing.access == Access::Disabled => {
                let step = if let Judged::Both(factors) = judged { Some(factors.code.step) } else { None };
                Err(Denied::Refused {
                    refusal: Refusal { step, ..Refusal::of(Some(account.id), Reason::Disabled) },
                    tally: Tally::Right,
                    told: Told::AccountDisabled,
                })
            }
            // What is unproven about an account that the operator touched is theirs to change.
            Judged::Both(_) if account.standing.state == State::Provisional && account.standing.is_touched() => {
                Err(refused(account, Reason::ProofRequired, Tally::Right, Told::ProofRequired))
            }
            Judged::Both(factors) => Ok(Grant { account, reason, step: Some(factors.code.step), session: None }),
            Judged::PasswordAlone(_)
                if is_its_creator_s || wanted == Wanted::SecondFactor && self.may_enrol(account) =>
            {
                Ok(Grant { account, reason, step: None, session: None })
            }
            Judged::PasswordAlone(_) => Err(refused(account, Reason::ProofRequired, Tally::Right, Told::ProofRequired)),
        }
    }

    /// Nobody has proven yet that the account is theirs: whoever asked for it may start over, or enrol once.
    fn is_open_without_proof(&self, wanted: Wanted, account: &Account) -> bool {
        account.standing.origin == Origin::Generation
            && is_unproven(account, self.settings)
            && match wanted {
                Wanted::Password => account.generated.as_ref().is_none_or(|(at, place)| {
                    self.now.since(*at).seconds() > START_OVER_PATIENCE || self.subjects.is_place(place)
                }),
                Wanted::SecondFactor => account.second_factor.is_none(),
            }
    }

    fn is_open_by_policy(&self, account: &Account) -> bool {
        let Standing { state, operator, access, .. } = account.standing;
        self.settings.policy.rules().generation == Generation::Open
            && (operator, access) == (Operator::Untouched, Access::Enabled)
            && (self.settings.registration == Registration::Open || state == State::Active)
    }

    /// An active account without a second factor enrols with its current password or a challenge, while it may; so does one
    /// that another program made, one whose password was chosen, and one that would not even be asked.
    fn may_enrol(&self, account: &Account) -> bool {
        (account.second_factor.is_none() || is_unproven(account, self.settings))
            && account.standing.access == Access::Enabled
            && account.enrolment_ends.is_none_or(|end| self.now <= end)
            && (account.standing.state == State::Active
                || account.standing.origin == Origin::External
                || is_unproven(account, self.settings))
    }

    /// Who chose the account's password is the only one who has proven anything: until the first complete login, it alone
    /// replaces both credentials, unless the operator touched the account or is the only one to create any.
    fn is_unproven_creation(&self, account: &Account) -> bool {
        account.standing.origin == Origin::Creation && is_unproven(account, self.settings)
    }

    fn challenge_holds(&self, token: &str, account: &Account) -> bool {
        challenge_holds(&self.keys.tokens, token, account, self.throttles, &self.settings.limits, self.now)
    }

    /// The session of a token, if it is one of the account's whose login was just now; whether it was ended, the store sees.
    fn session(&self, token: &str, account: &Account) -> Option<SessionId> {
        let claims = read_claims(&self.keys.tokens, self.settings, token, self.now)?;
        let holds = account.standing.access == Access::Enabled
            && claims.user_id == account.id.0
            && Some(claims.identity) == account.counters.identity
            && claims.epoch == account.counters.session_epoch
            && is_recent(&claims, self.now);
        holds.then_some(claims.session_id)
    }

    fn check_address(&self) -> Result<(), Denied> {
        self.throttles.check_address(&self.settings.limits, self.now).map_err(Denied::Locked)
    }
}

/// Whether nobody has logged in to the account yet, its origin is one of ours, and it is nobody's but whoever asked for it.
pub(crate) fn is_unproven(account: &Account, settings: &Settings) -> bool {
    let Standing { state, origin, operator, access } = account.standing;
    state == State::Provisional
        && matches!(origin, Origin::Generation | Origin::Creation)
        && (operator, access) == (Operator::Untouched, Access::Enabled)
        && settings.registration == Registration::Open
}

fn refused(account: &Account, reason: Reason, tally: Tally, told: Told) -> Denied {
    Denied::Refused { refusal: Refusal::of(Some(account.id), reason), tally, told }
}

impl Presented {
    fn is_empty(&self) -> bool {
        self.password.is_none() && self.renewal.is_none() && self.challenge.is_none() && self.bearer.token().is_none()
    }
}

impl Grant<'_> {
    /// The account whose credential may be replaced.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// What was shown, if anything.
    #[must_use]
    pub const fn proof(&self) -> Option<ProofKind> {
        match self.reason {
            GrantReason::Unproven | GrantReason::Policy => None,
            GrantReason::Proof(kind) => Some(kind),
        }
    }

    /// The step of the code that was shown: it is used up.
    #[must_use]
    pub const fn step(&self) -> Option<TotpStep> {
        self.step
    }

    /// Whether the account starts over: nobody has proven it theirs, and nobody does now, so nothing of it stays.
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
        self.account.standing.state == State::Provisional && !is_proven
    }

    /// What a new password makes of the one before.
    #[must_use]
    pub fn previous_after_password(&self, now: UnixTime) -> PreviousBecomes {
        let counts = self.account.previous.as_ref().is_some_and(|previous| now <= previous.ends);
        match self.proof() {
            // Nobody saw the present one yet: it may be this answer that gets lost.
            Some(ProofKind::PreviousCredentials | ProofKind::Renewal) if counts => PreviousBecomes::Kept,
            Some(ProofKind::Operator) => PreviousBecomes::Forgotten,
            _ if self.starts_over() => PreviousBecomes::Forgotten,
            _ => PreviousBecomes::Replaced,
        }
    }

    /// What a new second factor makes of the password before the present one.
    #[must_use]
    pub fn previous_after_second_factor(&self) -> PreviousBecomes {
        match self.proof() {
            Some(ProofKind::Credentials | ProofKind::Operator) => PreviousBecomes::Forgotten,
            _ => PreviousBecomes::Kept,
        }
    }

    /// The session that was shown, if it was one that gave leave: it must not have been ended.
    #[must_use]
    pub const fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Whether this is part of a renewal, whose ticket is good for both credentials.
    #[must_use]
    pub fn is_renewal(&self) -> bool {
        self.reason == GrantReason::Proof(ProofKind::Renewal)
    }

    /// When a new second factor is in force: at once where nobody depends on an old one.
    #[must_use]
    pub fn takes_effect(&self) -> TakesEffect {
        let depends = self.account.second_factor.is_some() && self.account.standing.state == State::Active;
        if depends && self.reason != GrantReason::Policy { TakesEffect::AtItsFirstCode } else { TakesEffect::AtOnce }
    }

    /// Where the account stands after the replacement.
    #[must_use]
    pub fn standing_after(&self) -> Standing {
        let operator = match self.reason {
            GrantReason::Proof(ProofKind::Operator) => Operator::Touched,
            _ => self.account.standing.operator,
        };
        Standing { operator, ..self.account.standing }
    }

    /// Whether the account is marked as expired after the replacement, with factors born then.
    pub(crate) fn expiry_after(
        &self,
        password_born: UnixTime,
        second_factor_born: UnixTime,
        now: UnixTime,
        settings: &Settings,
    ) -> Expiry {
        let max_age = settings.password_max_age;
        let is_marked = self.account.expiry != Expiry::Unmarked;
        if is_marked && self.account.would_have_expired(password_born, second_factor_born, now, max_age) {
            Expiry::Marked { since: self.account.marked_since(now, max_age) }
        } else {
            Expiry::Unmarked
        }
    }

    /// What the replacement comes to, for the counts: a right password and code, or a renewal that leaves nothing too old,
    /// ends the failures in a row.
    pub(crate) fn tally(&self, expiry: Expiry) -> Tally {
        match self.proof() {
            None => Tally::NotJudged,
            Some(ProofKind::Credentials) if self.step.is_some() => Tally::Complete,
            Some(ProofKind::Credentials | ProofKind::PreviousCredentials) => Tally::Right,
            Some(ProofKind::Renewal) if expiry == Expiry::Unmarked => Tally::Renewed,
            Some(ProofKind::Renewal | ProofKind::Session | ProofKind::Challenge | ProofKind::Operator) => {
                Tally::TokenRight
            }
        }
    }

    /// What every replacement changes besides.
    pub(crate) fn change<'b>(&self, binding: &'b Binding, settings: &Settings) -> CredentialChange<'b> {
        CredentialChange {
            standing: self.standing_after(),
            binding,
            legacy: settings.policy.rules().generation == Generation::Open,
        }
    }
}
