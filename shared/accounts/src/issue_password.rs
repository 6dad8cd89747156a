//! `issue_password`: gives an account a generated password.

use crate::grant::{Denied, Judge, Told, Wanted};
use crate::store::{note_locked, note_refusal};
use crate::{
    Account, Action, Attempt, Clock, Env, Found, Generation, GenerationKeys, NewAccount, NewPassword, Operator,
    Presented, ProofKind, Reason, Refusal, Saved, Spelling, Standing, Stopped, Store, StoreError, Subjects, Tally,
    TooManyAttempts, UnixTime, Username,
};
use cofrap_crypto::{Password, Slot};
use rand_core::CryptoRng;

/// Who asks for a password, and with what proof.
#[derive(Debug)]
pub struct IssuePassword {
    /// The account's name, new or not.
    pub username: Username,
    /// What the caller shows.
    pub presented: Presented,
}

/// A password that exists in clear only here.
#[derive(Debug)]
pub struct IssuedPassword {
    /// The account's name.
    pub username: Username,
    /// The clear password, to be shown once.
    pub password: Password,
    /// When it was generated.
    pub issued_at: UnixTime,
}

/// Why no password was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssuePasswordError {
    /// The account, or the registration, is not open to a caller without proof.
    #[error("the account is not open to a caller without proof")]
    ProofRequired,
    /// The password or the code that was shown as proof is wrong.
    #[error("the credentials do not hold")]
    InvalidCredentials,
    /// The proof holds, and the account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Another account's name differs only in case.
    #[error("another account's name differs only in case")]
    UsernameTaken,
    /// Another request replaced the credentials first.
    #[error("another request replaced the credentials first")]
    Overtaken,
    /// A limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Gives a new name an account, lets an account that nobody has proven theirs start over, or replaces the password of one
/// whose owner shows proof.
///
/// The clear password leaves through the return value only; the store sees it sealed.
///
/// # Errors
/// See [`IssuePasswordError`]; nothing was replaced then.
pub fn issue_password(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, GenerationKeys>,
    issue: &IssuePassword,
) -> Result<IssuedPassword, IssuePasswordError> {
    let now = env.clock.now();
    let name = issue.username.as_str();
    let (subjects, limits) = (Subjects::of(&env.caller, name), env.settings.limits);
    let attempt = Attempt::new(Action::PasswordGenerated, Some(name), &env.caller, &subjects, &limits, now);
    let reading = env.store.find(&issue.username, Spelling::InAnyCase, &subjects)?;
    let needed_keys = reading.keys.check(&env.keys.keyring)?;
    let attempt = Attempt { known_place: reading.throttles.known_place, needed_keys: &needed_keys, ..attempt };
    let account = reading.found.account();
    if let Err(error) = reading.throttles.check_generations(&limits, now) {
        return Err(note_locked(&mut env.store, &attempt, account.map(|account| account.id), error).into());
    }
    let judge = Judge {
        keys: &env.keys,
        settings: &env.settings,
        throttles: &reading.throttles,
        subjects: &subjects,
        presented: &issue.presented,
        now,
    };

    let password = Password::generate(&mut env.rng);
    let saved = match account {
        Some(account) => match judge.authorise(Wanted::Password, account) {
            Ok(grant) => {
                let keyring = &env.keys.keyring;
                let now = account.birth(now, env.settings.password_max_age);
                let attempt = Attempt { at: now, ..attempt };
                let sealed = account.seal(keyring, password.expose(), Slot::Password, now);
                let past = keyring.bind_elsewhere(&sealed, Slot::PastPassword.of(&account.username));
                let binding = account.bind(grant.standing_after(), keyring);
                let expiry = grant.expiry_after(now, account.second_factor_born(), now, &env.settings);
                let change = NewPassword {
                    password: &sealed,
                    past_password: &past,
                    expiry,
                    change: grant.change(&binding, &env.settings),
                };
                let attempt = Attempt { proof: grant.proof(), ..attempt }.that_came_to(grant.tally(expiry));
                env.store.replace_password(&attempt, &grant, &change)?
            }
            Err(denied) => return Err(deny(&mut env.store, &attempt, Some(account), denied)),
        },
        None => match judge.may_create() {
            Err(denied) => return Err(deny(&mut env.store, &attempt, None, denied)),
            Ok(_) if matches!(reading.found, Found::OtherCase) => {
                note_refusal(&mut env.store, &attempt, &Refusal::of(None, Reason::UsernameTaken))?;
                return Err(IssuePasswordError::UsernameTaken);
            }
            Ok(operator) => {
                let keyring = &env.keys.keyring;
                let sealed = keyring.seal(password.expose(), now.unsigned_seconds(), Slot::Password.of(name));
                let standing = Standing::of_new(operator);
                let account = NewAccount {
                    username: &issue.username,
                    password: &sealed,
                    past_password: &keyring.bind_elsewhere(&sealed, Slot::PastPassword.of(name)),
                    standing,
                    binding: &standing.bind_new(name, keyring),
                    legacy: env.settings.policy.rules().generation == Generation::Open,
                };
                let (proof, tally) = match operator {
                    Operator::Touched => (Some(ProofKind::Operator), Tally::TokenRight),
                    Operator::Untouched => (None, Tally::NotJudged),
                };
                env.store.create_account(&Attempt { proof, ..attempt }.that_came_to(tally), &account)?
            }
        },
    };

    match saved {
        Saved::Yes(_) => Ok(IssuedPassword { username: issue.username.clone(), password, issued_at: now }),
        Saved::Overtaken => Err(IssuePasswordError::Overtaken),
        Saved::Locked => Err(Stopped::from(TooManyAttempts::just_now()).into()),
    }
}

/// Notes a denial, and says what the caller is told.
pub(crate) fn deny<E: From<Stopped> + From<Told>>(
    store: &mut impl Store,
    attempt: &Attempt<'_>,
    account: Option<&Account>,
    denied: Denied,
) -> E {
    match denied {
        Denied::Locked(error) => note_locked(store, attempt, account.map(|account| account.id), error).into(),
        Denied::Refused { refusal, tally, told } => match note_refusal(store, &attempt.that_came_to(tally), &refusal) {
            Ok(()) => told.into(),
            Err(stopped) => stopped.into(),
        },
    }
}

impl From<Told> for IssuePasswordError {
    fn from(told: Told) -> Self {
        match told {
            Told::ProofRequired => Self::ProofRequired,
            Told::InvalidCredentials => Self::InvalidCredentials,
            Told::AccountDisabled => Self::Disabled,
        }
    }
}

impl From<StoreError> for IssuePasswordError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
