//! `issue_second_factor`: gives an account the secret of its one-time codes.

use crate::{Action, Attempt, Clock, Env, Issuer, Reason, Saved, Store, StoreError, Username};
use cofrap_crypto::{TotpSecret, provisioning_uri};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// Who asks for a second factor.
#[derive(Debug)]
pub struct IssueSecondFactor {
    /// The account's name.
    pub username: Username,
    /// Who issues it, as the authenticator app shows it.
    pub issuer: Issuer,
}

/// A second factor that exists in clear only here.
pub struct IssuedSecondFactor {
    /// The account's name.
    pub username: Username,
    /// Who issues it.
    pub issuer: Issuer,
    /// What the authenticator app reads; it holds the secret.
    pub provisioning_uri: Zeroizing<String>,
}

impl fmt::Debug for IssuedSecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedSecondFactor").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why no second factor was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueSecondFactorError {
    /// There is no such account, it is active, or it has a second factor already: a caller is not told which.
    #[error("the account is not open to a caller without proof")]
    ProofRequired,
    /// Another request replaced the credentials first.
    #[error("another request replaced the credentials first")]
    Overtaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives an account that nobody has proven theirs its second factor, once for each password.
///
/// # Errors
/// See [`IssueSecondFactorError`]; nothing was replaced then.
pub fn issue_second_factor(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng>,
    issue: &IssueSecondFactor,
) -> Result<IssuedSecondFactor, IssueSecondFactorError> {
    let now = env.clock.now();
    let attempt =
        Attempt { action: Action::SecondFactorGenerated, username: &issue.username, caller: &env.caller, at: now };

    let Some(account) = env.store.find(&issue.username)?.account() else {
        env.store.refuse(&attempt, None, Reason::UnknownUser)?;
        return Err(IssueSecondFactorError::ProofRequired);
    };
    let Some(grant) = account.grant_second_factor() else {
        env.store.refuse(&attempt, Some(account.id), Reason::ProofRequired)?;
        return Err(IssueSecondFactorError::ProofRequired);
    };

    let secret = TotpSecret::generate(&mut env.rng);
    let sealed = env.keyring.seal(&secret.expose_base32(), now.unsigned_seconds());
    match env.store.enroll(&attempt, &grant, &sealed)? {
        Saved::Yes => Ok(IssuedSecondFactor {
            username: issue.username.clone(),
            issuer: issue.issuer.clone(),
            provisioning_uri: provisioning_uri(issue.issuer.as_str(), issue.username.as_str(), &secret),
        }),
        Saved::Overtaken => Err(IssueSecondFactorError::Overtaken),
    }
}
