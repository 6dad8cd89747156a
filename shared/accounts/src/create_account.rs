//! `create_account`: makes an account with a password that its owner chose.

use crate::credentials::Scheme;
use crate::grant::{Judge, Told};
use crate::issue_password::{check_generations, create, deny, fit};
use crate::store::{find, note_refusal};
use crate::{
    Action, Attempt, Bearer, ChosenPassword, Clock, Env, Found, GenerationKeys, Origin, Presented, Reason, Refusal,
    Saved, Spelling, Stopped, Store, StoreError, Subjects, SubmittedCode, TooManyAttempts, UnfitUsername, Username,
};
use rand_core::CryptoRng;

/// Who asks for an account, and with which password.
#[derive(Debug)]
pub struct CreateAccount {
    /// The account's name.
    pub username: Username,
    /// Its password.
    pub password: ChosenPassword,
    /// The operator's token, if only they create accounts.
    pub bearer: Bearer,
}

/// Why no account was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateAccountError {
    /// The registration is not open to a caller without the operator's token.
    #[error("the registration is not open to a caller without proof")]
    ProofRequired,
    /// An account has the name, or one that is the same to people.
    #[error("the name is taken")]
    UsernameTaken,
    /// The name is none that a new account may have.
    #[error(transparent)]
    UnfitUsername(#[from] UnfitUsername),
    /// A limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Gives a free name a provisional account with a chosen password, which is stored as a hash. Nobody but who knows the password
/// changes anything about it.
///
/// # Errors
/// See [`CreateAccountError`]; nothing was created then.
pub fn create_account(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, GenerationKeys>,
    wanted: CreateAccount,
) -> Result<(), CreateAccountError> {
    let now = env.clock.now();
    let name = wanted.username.as_str();
    let (subjects, limits) = (Subjects::of(&env.caller, name, &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(Action::AccountCreated, Some(name), &env.caller, &subjects, &limits, now);
    let keyring = &env.keys.keyring;
    let (reading, needed_keys) = find(&mut env.store, keyring, &wanted.username, Spelling::Any, &subjects, now)?;
    let attempt = attempt.on(&reading, &needed_keys);
    check_generations(&mut env.store, &attempt, &reading, Scheme::Hashed)?;
    let presented = Presented {
        bearer: wanted.bearer,
        password: None,
        code: SubmittedCode::Missing,
        renewal: None,
        challenge: None,
    };
    let judge = Judge {
        keys: &env.keys,
        scheme: Scheme::Hashed,
        settings: &env.settings,
        throttles: &reading.throttles,
        subjects: &subjects,
        presented: &presented,
        now,
    };
    let operator = match judge.may_create() {
        Ok(operator) => operator,
        Err(denied) => return Err(deny(&mut env.store, &attempt, None, denied)),
    };
    if !matches!(reading.found, Found::Nobody) {
        let account = reading.found.account().map(|account| account.id);
        note_refusal(&mut env.store, &attempt, &Refusal::of(account, Reason::UsernameTaken))?;
        return Err(CreateAccountError::UsernameTaken);
    }

    let username = fit::<CreateAccountError>(&mut env.store, &attempt, &wanted.username)?;
    let hash = wanted.password.hash(keyring, &wanted.username, &mut env.rng);
    let standing = (Origin::Creation, operator);
    match create(&mut env.store, keyring, &env.settings, &attempt, &username, &hash, standing)? {
        Saved::Yes(_) => Ok(()),
        // Whoever came first has the name.
        Saved::Overtaken | Saved::Resealed | Saved::SessionEnded => Err(CreateAccountError::UsernameTaken),
        Saved::Locked => Err(Stopped::from(TooManyAttempts::just_now()).into()),
    }
}

impl From<Told> for CreateAccountError {
    fn from(told: Told) -> Self {
        match told {
            // Nothing but the operator's token is looked at, so it is all that can be asked for.
            Told::ProofRequired | Told::InvalidCredentials | Told::AccountDisabled | Told::UnknownUser => {
                Self::ProofRequired
            }
        }
    }
}

impl From<StoreError> for CreateAccountError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
