//! `authenticate`: judges a password and a code together; and what every complete login comes to.

use crate::credentials::{BothFactors, Factors, Judged, RightCode, RightPassword, check_judged, judge, judge_nobody};
use crate::grant::is_unproven;
use crate::session::{IssuedSession, SessionOf, new_session, new_session_id};
use crate::store::{find, note_refusal};
use crate::ticket::RENEWAL_SECONDS;
use crate::{
    Access, Account, AccountId, Action, Age, Attempt, Clock, CodeIsAsked, Counters, Env, Expiry, LoginKeys,
    PendingSecondFactor, Reason, Refusal, Refusals, Saved, Scheme, Sessions, Settings, Spelling, Standing, State,
    Stopped, Store, StoreError, Subjects, SubmittedCode, Tally, TooManyAttempts, UnixTime, Username,
};
use cofrap_crypto::{Binding, KeyId, Keyring, Password, Purpose, Sealed, Slot, TokenKeys, TotpStep};
use rand_core::CryptoRng;

/// Who wants to log in, and with what.
#[derive(Debug)]
pub struct Login {
    /// The account's name.
    pub username: Username,
    /// The password as typed.
    pub password: Password,
    /// The code as typed.
    pub code: SubmittedCode,
}

/// A complete login.
#[derive(Debug)]
pub struct LoggedIn {
    /// The account's name.
    pub username: String,
    /// The account's number.
    pub account: AccountId,
    /// The session; none where the policy gives none.
    pub session: Option<IssuedSession>,
    /// Which second factor the code was of; none where no code was asked for.
    pub second_factor: Option<WhichFactor>,
    /// Until when a new second factor waits for its first code, if one does.
    pub pending_until: Option<UnixTime>,
    /// The account's counters after it.
    pub(crate) counters: Counters,
}

/// Which second factor a code was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichFactor {
    /// The one in force.
    Current,
    /// The one that waited: it is in force from now on.
    New,
}

/// Why a login, or one of its two steps, was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown name, wrong password, or missing, wrong or used code.
    #[error("the credentials do not hold")]
    InvalidCredentials {
        /// What the caller is told of it; nothing under the strict policy.
        told: Option<Reason>,
    },
    /// The password is right and the account has no second factor yet.
    #[error("the account has no second factor yet")]
    EnrollmentRequired,
    /// Both factors are right, and one of them is too old.
    #[error("the credentials have expired")]
    Expired(RenewalTicket),
    /// A limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Leave to replace both credentials of an account.
#[derive(Debug)]
pub struct RenewalTicket {
    /// The ticket.
    pub token: String,
    /// Seconds that it lasts.
    pub expires_in: i64,
    /// Whether the password is to be replaced, and whether the second factor is.
    pub due: [bool; 2],
}

/// Judges a password and a code together; both right and young enough is a complete login, and uses the code up.
///
/// # Errors
/// See [`LoginError`]. Every outcome but a failing store has its audit row.
pub fn authenticate(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &Login,
) -> Result<LoggedIn, LoginError> {
    judged_anew(|| authenticate_once(env, login))
}

/// What stops judging: an answer, or that the stored secrets were sealed anew meanwhile.
pub(crate) enum Halted {
    Resealed,
    By(LoginError),
}

/// Judges once more where a rotation sealed the account's secrets anew between the two statements: nothing was written, and the code
/// not used up.
pub(crate) fn judged_anew<T>(mut judge: impl FnMut() -> Result<T, Halted>) -> Result<T, LoginError> {
    let judged = match judge() {
        Err(Halted::Resealed) => judge(),
        judged => judged,
    };
    judged.map_err(|halted| match halted {
        Halted::By(error) => error,
        Halted::Resealed => StoreError::Unavailable("the secrets were sealed anew twice meanwhile".to_owned()).into(),
    })
}

fn authenticate_once(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &Login,
) -> Result<LoggedIn, Halted> {
    let now = env.clock.now();
    let name = login.username.as_str();
    let (subjects, limits) = (Subjects::of(&env.caller, name, &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(Action::Login, Some(name), &env.caller, &subjects, &limits, now);
    let (reading, needed_keys) =
        find(&mut env.store, &env.keys.keyring, &login.username, Spelling::Exact, &subjects, now)?;
    let attempt = attempt.on(&reading, &needed_keys);
    check_judged(&mut env.store, &attempt, &reading)?;
    let account = reading.found.account();

    let judged = if let Some(account) = account {
        judge_login(&env.keys.keyring, account, login, now, &env.settings)
    } else {
        judge_nobody(&env.keys.keyring, Scheme::Sealed, &login.password, now);
        Err(Unproven::Refused(Refusal::of(None, Reason::UnknownUser)))
    };
    match judged {
        Ok(proven) => conclude((&mut env.store, &mut env.rng), &env.keys.tokens, &env.settings, &attempt, proven),
        Err(Unproven::Refused(refusal)) => {
            note_refusal(&mut env.store, &attempt.that_came_to(Tally::Failure), &refusal)?;
            Err(refuse(refusal.reason, &env.settings).into())
        }
        Err(Unproven::NotEnrolled(account)) => {
            let refusal = Refusal::of(Some(account), Reason::NotEnrolled);
            note_refusal(&mut env.store, &attempt.that_came_to(Tally::Right), &refusal)?;
            Err(LoginError::EnrollmentRequired.into())
        }
        Err(Unproven::MayEnrolAnew(refusal)) => {
            // A wrong code is a guess. A missing one counts nothing, and says nothing either once a limit was reached meanwhile.
            let tally = if refusal.wrong_code { Tally::Failure } else { Tally::Right };
            note_refusal(&mut env.store, &attempt.that_came_to(tally), &refusal)?;
            Err(LoginError::EnrollmentRequired.into())
        }
    }
}

/// Notes a login that was right. In time it is complete and gives a session; too late, a renewal ticket.
pub(crate) fn conclude(
    (store, rng): (&mut impl Store, &mut impl CryptoRng),
    tokens: &TokenKeys,
    settings: &Settings,
    attempt: &Attempt<'_>,
    proven: Proven<'_>,
) -> Result<LoggedIn, Halted> {
    let now = attempt.at;
    match proven {
        Proven::TooLate(login) => {
            let attempt = Attempt { action: Action::PasswordExpired, ..*attempt }.that_came_to(Tally::Right);
            let counters = completed(store.mark_expired(&attempt, &login)?, settings)?;
            let ticket = counters.ticket(login.account.id, Purpose::Renewal, now.plus(RENEWAL_SECONDS));
            let token = tokens.sign_ticket(Purpose::Renewal, &ticket);
            let due = login.due(now, settings.password_max_age);
            Err(LoginError::Expired(RenewalTicket { token, expires_in: RENEWAL_SECONDS, due }).into())
        }
        Proven::InTime(login) => {
            let attempt = attempt.that_came_to(Tally::Complete);
            let session = match settings.policy.rules().sessions {
                Sessions::Issued => Some(new_session_id(rng)),
                Sessions::None => None,
            };
            let counters = completed(store.complete_login(&attempt, &login, session.as_ref())?, settings)?;
            // Said again only where it is new.
            let identity = counters.identity.or(login.account.counters.identity);
            let counters = Counters { identity, ..counters };
            let account = login.account.id;
            let session = match session {
                Some(id) => {
                    let identity = counters.identity.ok_or(StoreError::CorruptAnswer("complete_login"))?;
                    let whose = SessionOf { account, identity, epoch: counters.session_epoch, id, login: now };
                    Some(new_session(tokens, rng, &whose, now))
                }
                None => None,
            };
            let waiting =
                login.account.pending.as_ref().filter(|pending| !login.promotes_pending && pending.is_alive(now));
            Ok(LoggedIn {
                username: login.account.username.clone(),
                account,
                session,
                second_factor: login
                    .step
                    .map(|_| if login.promotes_pending { WhichFactor::New } else { WhichFactor::Current }),
                pending_until: waiting.map(PendingSecondFactor::ends),
                counters,
            })
        }
    }
}

/// The counters after a deed of a login, if it was done.
pub(crate) fn completed(saved: Saved, settings: &Settings) -> Result<Counters, Halted> {
    match saved {
        Saved::Yes(counters) => Ok(counters),
        Saved::Overtaken | Saved::SessionEnded => Err(refuse(Reason::Overtaken, settings).into()),
        Saved::Locked => Err(Stopped::from(TooManyAttempts::just_now()).into()),
        Saved::Resealed => Err(Halted::Resealed),
    }
}

/// A refusal, in the words that the policy allows.
pub(crate) fn refuse(reason: Reason, settings: &Settings) -> LoginError {
    let told = match settings.policy.rules().refusals {
        Refusals::Uniform => None,
        Refusals::Distinct => Some(reason),
    };
    LoginError::InvalidCredentials { told }
}

/// Why the account as read does not let a login pass; the store has the last word on a code's first use.
enum Unproven {
    Refused(Refusal),
    NotEnrolled(AccountId),
    /// The password was right, and the code was not that of a secret which no login has proven: its owner may not have it any more.
    MayEnrolAnew(Refusal),
}

/// A login that was right.
pub(crate) enum Proven<'a> {
    InTime(ProvenLogin<'a>),
    /// Either factor is too old, or the account was marked.
    TooLate(ProvenLogin<'a>),
}

/// What a login asks for was right. Only judging it makes one, and the store takes nothing less.
#[derive(Debug)]
pub struct ProvenLogin<'a> {
    account: &'a Account,
    step: Option<TotpStep>,
    /// The password, sealed again if it was not as it should be.
    password: Option<Sealed>,
    /// The second factor, sealed again if it was not as it should be, or because it has waited until now.
    second_factor: Option<Sealed>,
    promotes_pending: bool,
    second_factor_born: UnixTime,
    /// When the account was marked as expired, if it has: the moment after which both factors must be born.
    marked_since: Option<UnixTime>,
    standing: Standing,
    key: KeyId,
    binding: Binding,
    /// The login counter that a challenge stood on, which it uses up.
    used_counter: Option<i64>,
}

impl ProvenLogin<'_> {
    /// The login counter that must still be so: a challenge completes one login.
    #[must_use]
    pub const fn used_counter(&self) -> Option<i64> {
        self.used_counter
    }

    /// Whose factors they were.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// Whether the password is too old, or was marked, and whether the second factor is.
    fn due(&self, now: UnixTime, max_age: Age) -> [bool; 2] {
        let is_due = |born: UnixTime| now.since(born) > max_age || self.marked_since.is_some_and(|since| born <= since);
        [self.account.password_born, self.second_factor_born].map(is_due)
    }

    /// Whether it changes nothing of what is stored about the account but counts, as all do but the first and those after something
    /// happened.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        let account = self.account;
        self.password.is_none()
            && self.second_factor.is_none()
            && !self.promotes_pending
            && account.standing == self.standing
            && account.standing_binding.as_ref() == Some(&self.binding)
            && account.expiry == Expiry::Unmarked
            && account.previous.is_none()
            && account.counters.identity.is_some()
    }

    /// The step whose code is used up; none where no code was asked for.
    #[must_use]
    pub const fn step(&self) -> Option<TotpStep> {
        self.step
    }

    /// The password as it should be stored, if it is not.
    #[must_use]
    pub const fn password(&self) -> Option<&Sealed> {
        self.password.as_ref()
    }

    /// The second factor as it should be stored, if it is not.
    #[must_use]
    pub const fn second_factor(&self) -> Option<&Sealed> {
        self.second_factor.as_ref()
    }

    /// Whether the code was that of the second factor that waited: it is in force from now on.
    #[must_use]
    pub const fn promotes_pending(&self) -> bool {
        self.promotes_pending
    }

    /// The birth of the second factor in force after this.
    #[must_use]
    pub const fn second_factor_born(&self) -> UnixTime {
        self.second_factor_born
    }

    /// The moment after which both factors must be born, if the account was marked.
    #[must_use]
    pub const fn marked_since(&self) -> Option<UnixTime> {
        self.marked_since
    }

    /// Where the account stands after this.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// The name of the key that ties that to it.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// What ties that to it.
    #[must_use]
    pub const fn binding(&self) -> &Binding {
        &self.binding
    }
}

fn judge_login<'a>(
    keyring: &Keyring,
    account: &'a Account,
    login: &Login,
    now: UnixTime,
    settings: &Settings,
) -> Result<Proven<'a>, Unproven> {
    let shown = (&login.password, &login.code);
    let (password, code) = match judge(keyring, Scheme::Sealed, account, shown, Factors::AlsoPending, now) {
        Judged::Wrong { reason, wrong_code } => {
            let right_password = reason.is_of_the_code();
            let refusal = Refusal { right_password, wrong_code, ..Refusal::of(Some(account.id), reason) };
            let is_of_the_code_alone = right_password && reason != Reason::ReplayedCode;
            let is_strict = settings.policy.rules().refusals == Refusals::Uniform;
            return Err(if is_of_the_code_alone && is_strict && is_unproven(account, settings) {
                Unproven::MayEnrolAnew(refusal)
            } else {
                Unproven::Refused(refusal)
            });
        }
        Judged::PasswordAlone(password) => (password, None),
        Judged::Both(BothFactors { password, code }) => (password, Some(code)),
    };
    if account.standing.access == Access::Disabled {
        let step = code.map(|code| code.step);
        return Err(Unproven::Refused(Refusal { step, ..Refusal::of(Some(account.id), Reason::Disabled) }));
    }
    if code.is_none() && settings.policy.rules().code == CodeIsAsked::Always {
        return Err(Unproven::NotEnrolled(account.id));
    }
    Ok(Proven::of(keyring, account, password, code, now, settings))
}

impl<'a> Proven<'a> {
    /// What a right password, and a right code if one was asked for, come to.
    pub(crate) fn of(
        keyring: &Keyring,
        account: &'a Account,
        password: RightPassword,
        code: Option<RightCode>,
        now: UnixTime,
        settings: &Settings,
    ) -> Self {
        let max_age = settings.password_max_age;
        let step = code.as_ref().map(|code| code.step);
        let promotes_pending = code.as_ref().is_some_and(|code| code.is_pending);
        let pending_born = account.pending.as_ref().filter(|_| promotes_pending).map(|pending| pending.born);
        let second_factor_born = pending_born.unwrap_or_else(|| account.second_factor_born());
        let is_too_late =
            password.must_renew || account.would_have_expired(account.password_born, second_factor_born, now, max_age);
        // Too late is no complete login: a provisional account stays what it is.
        let state = if is_too_late { account.standing.state } else { State::Active };
        let standing = Standing { state, ..account.standing };
        let marked_since = account.marked_since(now, max_age).or(password.must_renew.then_some(now));
        let login = ProvenLogin {
            account,
            step,
            password: password.again,
            second_factor: code.and_then(|code| {
                let opened = code.second_factor;
                let is_as_it_should_be = opened.is_current && !code.is_pending;
                (!is_as_it_should_be).then(|| account.seal(keyring, &opened.clear, Slot::SecondFactor, now))
            }),
            promotes_pending,
            second_factor_born,
            marked_since,
            standing,
            key: keyring.first_id().clone(),
            binding: account.bind(standing, keyring),
            used_counter: None,
        };
        if is_too_late { Self::TooLate(login) } else { Self::InTime(login) }
    }

    /// The same, where a challenge stood for the password.
    pub(crate) fn by_challenge(self) -> Self {
        let once = |login: ProvenLogin<'a>| ProvenLogin { used_counter: Some(login.account.counters.login), ..login };
        match self {
            Self::InTime(login) => Self::InTime(once(login)),
            Self::TooLate(login) => Self::TooLate(once(login)),
        }
    }
}

impl From<LoginError> for Halted {
    fn from(error: LoginError) -> Self {
        Self::By(error)
    }
}

impl From<Stopped> for Halted {
    fn from(error: Stopped) -> Self {
        Self::By(error.into())
    }
}

impl From<StoreError> for Halted {
    fn from(error: StoreError) -> Self {
        Self::By(error.into())
    }
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
