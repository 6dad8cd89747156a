//! `issue_password`: gives an account a generated password.

use crate::credentials::Scheme;
use crate::grant::{Denied, Judge, Told, Wanted};
use crate::store::{find, note_locked, note_refusal};
use crate::{
    Account, Action, Attempt, Clock, Env, Found, Generation, GenerationKeys, NewAccount, NewPassword, NewUsername,
    Operator, Origin, Presented, ProofKind, Reading, Reason, Refusal, Saved, Settings, Spelling, Standing, Stopped,
    Store, StoreError, Subjects, Tally, TooManyAttempts, UnfitUsername, UnixTime, Username,
};
use cofrap_crypto::{Keyring, Password, Sealed, Slot};
use rand_core::CryptoRng;

/// Who asks for a password, and with what proof.
#[derive(Debug)]
pub struct IssuePassword {
    /// The account's name, new or not.
    pub username: Username,
    /// What the caller shows.
    pub presented: Presented,
    /// How the password is kept.
    pub scheme: Scheme,
    /// What is done about a name that no account has.
    pub unknown: UnknownName,
}

/// What is done about a name that no account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownName {
    /// It gets an account.
    Create,
    /// It is refused.
    Refuse,
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
    /// There is no such account, none is created, and the policy, or the operator's token, has that said.
    #[error("there is no such account")]
    UnknownUser,
    /// The password or the code that was shown as proof is wrong.
    #[error("the credentials do not hold")]
    InvalidCredentials,
    /// The proof holds, and the account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Another account's name is the same to people.
    #[error("another account's name is the same to people")]
    UsernameTaken,
    /// The name is none that a new account may have.
    #[error(transparent)]
    UnfitUsername(#[from] UnfitUsername),
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
    let (subjects, limits) = (Subjects::of(&env.caller, name, &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(Action::PasswordGenerated, Some(name), &env.caller, &subjects, &limits, now);
    let keyring = &env.keys.keyring;
    let spelling = match issue.unknown {
        UnknownName::Create => Spelling::Any,
        UnknownName::Refuse => Spelling::Exact,
    };
    let (reading, needed_keys) = find(&mut env.store, keyring, &issue.username, spelling, &subjects, now)?;
    let attempt = attempt.on(&reading, &needed_keys);
    check_generations(&mut env.store, &attempt, &reading, issue.scheme)?;
    let judge = Judge {
        keys: &env.keys,
        scheme: issue.scheme,
        settings: &env.settings,
        throttles: &reading.throttles,
        subjects: &subjects,
        presented: &issue.presented,
        now,
    };

    let password = Password::generate(&mut env.rng);
    let (saved, issued_at) = match (reading.found.account(), issue.unknown) {
        (Some(account), _) => match judge.authorise(Wanted::Password, account) {
            Ok(grant) => {
                let now = account.birth(now, env.settings.password_max_age);
                let attempt = Attempt { at: now, ..attempt };
                let stored = protect(keyring, issue.scheme, &password, name, now, &mut env.rng);
                let past = keyring.bind_elsewhere(&stored, Slot::PastPassword.of(name));
                let binding = account.bind(grant.standing_after(), keyring);
                let expiry = grant.expiry_after(now, account.second_factor_born(), now, &env.settings);
                let change = NewPassword {
                    password: &stored,
                    past_password: &past,
                    expiry,
                    change: grant.change(&binding, &env.settings),
                };
                let attempt = Attempt { proof: grant.proof(), ..attempt }.that_came_to(grant.tally(expiry));
                (env.store.replace_password(&attempt, &grant, &change)?, now)
            }
            Err(denied) => return Err(deny(&mut env.store, &attempt, Some(account), denied)),
        },
        (None, UnknownName::Refuse) => {
            let denied = judge.deny_unknown();
            return Err(deny(&mut env.store, &attempt, None, denied));
        }
        (None, UnknownName::Create) => match judge.may_create() {
            Err(denied) => return Err(deny(&mut env.store, &attempt, None, denied)),
            Ok(_) if matches!(reading.found, Found::OtherSpelling) => {
                note_refusal(&mut env.store, &attempt, &Refusal::of(None, Reason::UsernameTaken))?;
                return Err(IssuePasswordError::UsernameTaken);
            }
            Ok(operator) => {
                let username = fit::<IssuePasswordError>(&mut env.store, &attempt, &issue.username)?;
                let stored = protect(keyring, issue.scheme, &password, name, now, &mut env.rng);
                let standing = (Origin::Generation, operator);
                let attempt = &attempt;
                let saved = create(&mut env.store, keyring, &env.settings, attempt, &username, &stored, standing)?;
                (saved, now)
            }
        },
    };

    match saved {
        Saved::Yes(_) => Ok(IssuedPassword { username: issue.username.clone(), password, issued_at }),
        Saved::Overtaken | Saved::Resealed => Err(IssuePasswordError::Overtaken),
        Saved::SessionEnded => Err(IssuePasswordError::ProofRequired),
        Saved::Locked => Err(Stopped::from(TooManyAttempts::just_now()).into()),
    }
}

/// A generated password, as the account keeps it.
fn protect(
    keyring: &Keyring,
    scheme: Scheme,
    password: &Password,
    owner: &str,
    now: UnixTime,
    rng: &mut impl CryptoRng,
) -> Sealed {
    let place = Slot::Password.of(owner);
    match scheme {
        Scheme::Sealed => keyring.seal(password.expose(), now.unsigned_seconds(), place),
        Scheme::Hashed => keyring.hash(password, place, rng).expect("a generated password is 24 ASCII characters"),
    }
}

/// The name, if a new account may have it; noted if not.
pub(crate) fn fit<'u, E: From<Stopped> + From<UnfitUsername>>(
    store: &mut impl Store,
    attempt: &Attempt<'_>,
    username: &'u Username,
) -> Result<NewUsername<'u>, E> {
    let fit = NewUsername::try_from(username);
    if fit.is_err() {
        note_refusal(store, attempt, &Refusal::of(None, Reason::InvalidUsername))?;
    }
    Ok(fit?)
}

/// Creates a provisional account.
pub(crate) fn create(
    store: &mut impl Store,
    keyring: &Keyring,
    settings: &Settings,
    attempt: &Attempt<'_>,
    username: &NewUsername<'_>,
    password: &Sealed,
    (origin, operator): (Origin, Operator),
) -> Result<Saved, StoreError> {
    let username = username.username();
    let (standing, name) = (Standing::of_new(origin, operator), username.as_str());
    let account = NewAccount {
        username,
        password,
        past_password: &keyring.bind_elsewhere(password, Slot::PastPassword.of(name)),
        standing,
        binding: &standing.bind_new(name, keyring),
        legacy: settings.policy.rules().generation == Generation::Open,
    };
    let (proof, tally) = match operator {
        Operator::Touched => (Some(ProofKind::Operator), Tally::TokenRight),
        Operator::Untouched => (None, Tally::NotJudged),
    };
    store.create_account(&Attempt { proof, ..*attempt }.that_came_to(tally), &account)
}

/// Whether the caller may ask for one more generation; where that costs a hash, also whether the address may try at all.
pub(crate) fn check_generations(
    store: &mut impl Store,
    attempt: &Attempt<'_>,
    reading: &Reading,
    scheme: Scheme,
) -> Result<(), Stopped> {
    let (throttles, limits, now) = (&reading.throttles, attempt.limits, attempt.at);
    let checked = throttles.check_generations(limits, now).and_then(|()| match scheme {
        Scheme::Sealed => Ok(()),
        Scheme::Hashed => throttles.check_address(limits, now),
    });
    let account = reading.found.account().map(|account| account.id);
    checked.map_err(|error| note_locked(store, attempt, account, error))
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
            Told::UnknownUser => Self::UnknownUser,
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
