//! `authenticate`: judges a password and a code together.

use crate::credentials::{BothFactors, Factors, Judged, check_locks, judge, judge_nobody};
use crate::session::{IssuedSession, new_session};
use crate::store::{note_locked, note_refusal};
use crate::{
    Access, Account, AccountId, Action, Attempt, Clock, CodeIsAsked, Counters, Env, LoginKeys, Reason, Refusal,
    Refusals, Saved, Sessions, Settings, Spelling, Standing, State, Stopped, Store, StoreError, Subjects,
    SubmittedCode, Tally, TooManyAttempts, UnixTime, Username,
};
use cofrap_crypto::{Binding, KeyId, Keyring, Opened, Password, Purpose, Sealed, Slot, TotpStep};
use rand_core::CryptoRng;

/// How long a renewal ticket lasts, in seconds.
const RENEWAL_SECONDS: i64 = 900;

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
    pub username: Username,
    /// The account's number.
    pub account: AccountId,
    /// The session; none where the policy gives none.
    pub session: Option<IssuedSession>,
}

/// Why a login was refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
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
}

/// Judges a password and a code together; both right and young enough is a complete login, and uses the code up.
///
/// # Errors
/// See [`AuthenticateError`]. Every outcome but a failing store has its audit row.
pub fn authenticate(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, LoginKeys>,
    login: &Login,
) -> Result<LoggedIn, AuthenticateError> {
    let now = env.clock.now();
    let name = login.username.as_str();
    let (subjects, limits) = (Subjects::of(&env.caller, name), env.settings.limits);
    let attempt = Attempt::new(Action::Login, Some(name), &env.caller, &subjects, &limits, now);
    let reading = env.store.find(&login.username, Spelling::Exact, &subjects)?;
    let needed_keys = reading.keys.check(&env.keys.keyring)?;
    let attempt = Attempt { known_place: reading.throttles.known_place, needed_keys: &needed_keys, ..attempt };
    let account = reading.found.account();
    if let Err(error) = check_locks(account, &reading.throttles, &limits, now) {
        return Err(note_locked(&mut env.store, &attempt, account.map(|account| account.id), error).into());
    }

    let verdict = if let Some(account) = account {
        verdict(&env.keys.keyring, account, login, now, &env.settings)
    } else {
        judge_nobody(&env.keys.keyring, &login.password, now);
        Verdict::Refused(Refusal::of(None, Reason::UnknownUser))
    };
    match verdict {
        Verdict::Refused(refusal) => {
            note_refusal(&mut env.store, &attempt.that_came_to(Tally::Failure), &refusal)?;
            Err(refuse(refusal.reason, &env.settings))
        }
        Verdict::NotEnrolled(account) => {
            let refusal = Refusal::of(Some(account.id), Reason::NotEnrolled);
            note_refusal(&mut env.store, &attempt.that_came_to(Tally::Right), &refusal)?;
            Err(AuthenticateError::EnrollmentRequired)
        }
        Verdict::Expired(proven) => {
            let attempt = Attempt { action: Action::PasswordExpired, ..attempt }.that_came_to(Tally::Right);
            let counters = completed(env.store.mark_expired(&attempt, &proven)?, &env.settings)?;
            let ticket = counters.ticket(proven.account.id, Purpose::Renewal, now.plus(RENEWAL_SECONDS));
            let token = env.keys.tokens.sign_ticket(Purpose::Renewal, &ticket);
            Err(AuthenticateError::Expired(RenewalTicket { token, expires_in: RENEWAL_SECONDS }))
        }
        Verdict::Proven(proven) => {
            let attempt = attempt.that_came_to(Tally::Complete);
            let counters = completed(env.store.complete_login(&attempt, &proven)?, &env.settings)?;
            let account = proven.account.id;
            let session = match env.settings.policy.rules().sessions {
                Sessions::Issued => {
                    Some(new_session(&env.keys.tokens, &mut env.rng, account, counters.session_epoch, now, now))
                }
                Sessions::None => None,
            };
            Ok(LoggedIn { username: login.username.clone(), account, session })
        }
    }
}

fn completed(saved: Saved, settings: &Settings) -> Result<Counters, AuthenticateError> {
    match saved {
        Saved::Yes(counters) => Ok(counters),
        Saved::Overtaken => Err(refuse(Reason::Overtaken, settings)),
        Saved::Locked => Err(Stopped::from(TooManyAttempts::just_now()).into()),
    }
}

fn refuse(reason: Reason, settings: &Settings) -> AuthenticateError {
    let told = match settings.policy.rules().refusals {
        Refusals::Uniform => None,
        Refusals::Distinct => Some(reason),
    };
    AuthenticateError::InvalidCredentials { told }
}

/// What the account as read says to a login; the store has the last word on a code's first use.
enum Verdict<'a> {
    Refused(Refusal),
    NotEnrolled(&'a Account),
    Expired(ProvenLogin<'a>),
    Proven(ProvenLogin<'a>),
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
}

impl ProvenLogin<'_> {
    /// Whose factors they were.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
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

fn verdict<'a>(
    keyring: &Keyring,
    account: &'a Account,
    login: &Login,
    now: UnixTime,
    settings: &Settings,
) -> Verdict<'a> {
    let factors = match judge(keyring, account, &login.password, &login.code, Factors::AlsoPending, now) {
        Judged::Wrong { reason, wrong_code } => {
            return Verdict::Refused(Refusal { wrong_code, ..Refusal::of(Some(account.id), reason) });
        }
        Judged::PasswordAlone(password) => Factored { password, second_factor: None },
        Judged::Both(BothFactors { password, second_factor, step, is_pending }) => {
            Factored { password, second_factor: Some((second_factor, step, is_pending)) }
        }
    };
    if account.standing.access == Access::Disabled {
        let step = factors.second_factor.as_ref().map(|(_, step, _)| *step);
        return Verdict::Refused(Refusal { step, ..Refusal::of(Some(account.id), Reason::Disabled) });
    }
    if factors.second_factor.is_none() && settings.policy.rules().code == CodeIsAsked::Always {
        return Verdict::NotEnrolled(account);
    }
    factors.conclude(keyring, account, now, settings)
}

/// What was right.
struct Factored {
    password: Opened,
    second_factor: Option<(Opened, TotpStep, bool)>,
}

impl Factored {
    fn conclude<'a>(self, keyring: &Keyring, account: &'a Account, now: UnixTime, settings: &Settings) -> Verdict<'a> {
        let step = self.second_factor.as_ref().map(|(_, step, _)| *step);
        let promotes_pending = self.second_factor.as_ref().is_some_and(|(_, _, is_pending)| *is_pending);
        let pending_born = account.pending.as_ref().filter(|_| promotes_pending).map(|pending| pending.born);
        let second_factor_born = pending_born.unwrap_or_else(|| account.second_factor_born());
        let has_expired =
            account.would_have_expired(account.password_born, second_factor_born, now, settings.password_max_age);
        // Too late is no complete login: a provisional account stays what it is.
        let state = if has_expired { account.standing.state } else { State::Active };
        let standing = Standing { state, ..account.standing };
        let again = |opened: &Opened, slot| account.seal(keyring, &opened.clear, slot, now);
        let proven = ProvenLogin {
            account,
            step,
            password: (!self.password.is_current).then(|| again(&self.password, Slot::Password)),
            second_factor: self.second_factor.and_then(|(opened, _, is_pending)| {
                (is_pending || !opened.is_current).then(|| again(&opened, Slot::SecondFactor))
            }),
            promotes_pending,
            second_factor_born,
            marked_since: account.marked_since(now, settings.password_max_age),
            standing,
            key: keyring.first_id().clone(),
            binding: account.bind(standing, keyring),
        };
        if has_expired { Verdict::Expired(proven) } else { Verdict::Proven(proven) }
    }
}

impl From<StoreError> for AuthenticateError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
