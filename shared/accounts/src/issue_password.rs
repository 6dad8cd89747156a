//! `issue_password`: gives an account a generated password.

use crate::{Action, Attempt, Clock, Env, Found, Reason, Saved, Store, StoreError, UnixTime, Username};
use cofrap_crypto::Password;
use rand_core::CryptoRng;

/// Who asks for a password.
#[derive(Debug)]
pub struct IssuePassword {
    /// The account's name, new or not.
    pub username: Username,
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
    /// The account is active, or was not born of a generation.
    #[error("the account is not open to a caller without proof")]
    ProofRequired,
    /// Another account's name differs only in case.
    #[error("another account's name differs only in case")]
    UsernameTaken,
    /// Another request replaced the credentials first.
    #[error("another request replaced the credentials first")]
    Overtaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives a new name an account, or lets an account that nobody has proven theirs start over.
///
/// The clear password leaves through the return value only; the store sees it sealed.
///
/// # Errors
/// See [`IssuePasswordError`]; nothing was replaced then.
pub fn issue_password(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng>,
    issue: &IssuePassword,
) -> Result<IssuedPassword, IssuePasswordError> {
    let now = env.clock.now();
    let attempt =
        Attempt { action: Action::PasswordGenerated, username: &issue.username, caller: &env.caller, at: now };
    let mut generate = || {
        let password = Password::generate(&mut env.rng);
        let sealed = env.keyring.seal(password.expose(), now.unsigned_seconds());
        (password, sealed)
    };

    let (password, saved) = match env.store.find(&issue.username)? {
        Found::Nobody => {
            let (password, sealed) = generate();
            (password, env.store.create_account(&attempt, &sealed)?)
        }
        Found::Account(account) => {
            let Some(grant) = account.grant_password() else {
                env.store.refuse(&attempt, Some(account.id), Reason::ProofRequired)?;
                return Err(IssuePasswordError::ProofRequired);
            };
            let (password, sealed) = generate();
            (password, env.store.start_over(&attempt, &grant, &sealed)?)
        }
        Found::OtherCase => {
            env.store.refuse(&attempt, None, Reason::UsernameTaken)?;
            return Err(IssuePasswordError::UsernameTaken);
        }
    };

    match saved {
        Saved::Yes => Ok(IssuedPassword { username: issue.username.clone(), password, issued_at: now }),
        Saved::Overtaken => Err(IssuePasswordError::Overtaken),
    }
}
