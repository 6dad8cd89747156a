//! `issue_second_factor`: gives an account the secret of its one-time codes.

use crate::credentials::Scheme;
use crate::grant::{Judge, Told, Wanted};
use crate::issue_password::{check_generations, deny};
use crate::store::find;
use crate::{
    Action, Attempt, Clock, Env, GenerationKeys, Issuer, NewSecondFactor, Presented, Saved, Spelling, Stopped, Store,
    StoreError, Subjects, TakesEffect, TooManyAttempts, Username,
};
use cofrap_crypto::{Slot, TotpSecret, provisioning_uri};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// Who asks for a second factor, and with what proof.
#[derive(Debug)]
pub struct IssueSecondFactor {
    /// The account's name.
    pub username: Username,
    /// Who issues it, as the authenticator app shows it.
    pub issuer: Issuer,
    /// What the caller shows.
    pub presented: Presented,
    /// How the passwords of this generation of the API are kept.
    pub scheme: Scheme,
}

/// A second factor that exists in clear only here.
pub struct IssuedSecondFactor {
    /// The account's name.
    pub username: Username,
    /// Who issues it.
    pub issuer: Issuer,
    /// The secret in base32.
    pub secret: Zeroizing<String>,
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
    /// There is no such account, or it is not open to this caller: a caller is not told which.
    #[error("the account is not open to a caller without proof")]
    ProofRequired,
    /// There is no such account, and the policy, or the operator's token, has that said.
    #[error("there is no such account")]
    UnknownUser,
    /// The password or the code that was shown as proof is wrong.
    #[error("the credentials do not hold")]
    InvalidCredentials,
    /// The proof holds, and the account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Another request replaced the credentials first.
    #[error("another request replaced the credentials first")]
    Overtaken,
    /// A limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Gives an account that nobody has proven theirs its second factor, once for each password; an active one a second factor
/// that waits beside the old one until a code of it is accepted.
///
/// # Errors
/// See [`IssueSecondFactorError`]; nothing was replaced then.
pub fn issue_second_factor(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, GenerationKeys>,
    issue: &IssueSecondFactor,
) -> Result<IssuedSecondFactor, IssueSecondFactorError> {
    let now = env.clock.now();
    let name = issue.username.as_str();
    let (subjects, limits) = (Subjects::of(&env.caller, name, &env.keys.keyring.subject_key()), env.settings.limits);
    let attempt = Attempt::new(Action::SecondFactorGenerated, Some(name), &env.caller, &subjects, &limits, now);
    let keyring = &env.keys.keyring;
    let (reading, needed_keys) = find(&mut env.store, keyring, &issue.username, Spelling::Exact, &subjects, now)?;
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

    let Some(account) = reading.found.account() else {
        let denied = judge.deny_unknown();
        return Err(deny(&mut env.store, &attempt, None, denied));
    };
    let grant = match judge.authorise(Wanted::SecondFactor, account) {
        Ok(grant) => grant,
        Err(denied) => return Err(deny(&mut env.store, &attempt, Some(account), denied)),
    };

    let now = account.birth(now, env.settings.password_max_age);
    let attempt = Attempt { at: now, ..attempt };
    let secret = TotpSecret::generate(&mut env.rng);
    let takes_effect = grant.takes_effect();
    let (slot, born) = match takes_effect {
        TakesEffect::AtOnce => (Slot::SecondFactor, now),
        TakesEffect::AtItsFirstCode => (Slot::PendingSecondFactor, account.second_factor_born()),
    };
    let base32 = secret.expose_base32();
    let sealed = account.seal(keyring, &base32, slot, now);
    let binding = account.bind(grant.standing_after(), keyring);
    let expiry = grant.expiry_after(account.password_born, born, now, &env.settings);
    let change =
        NewSecondFactor { secret: &sealed, takes_effect, expiry, change: grant.change(&binding, &env.settings) };
    let attempt = Attempt { proof: grant.proof(), ..attempt }.that_came_to(grant.tally(expiry));
    match env.store.replace_second_factor(&attempt, &grant, &change)? {
        Saved::Yes(_) => Ok(IssuedSecondFactor {
            username: issue.username.clone(),
            issuer: issue.issuer.clone(),
            secret: base32,
            provisioning_uri: provisioning_uri(issue.issuer.as_str(), name, &secret),
        }),
        Saved::Overtaken | Saved::Resealed => Err(IssueSecondFactorError::Overtaken),
        Saved::SessionEnded => Err(IssueSecondFactorError::ProofRequired),
        Saved::Locked => Err(Stopped::from(TooManyAttempts::just_now()).into()),
    }
}

impl From<Told> for IssueSecondFactorError {
    fn from(told: Told) -> Self {
        match told {
            Told::UnknownUser => Self::UnknownUser,
            Told::ProofRequired => Self::ProofRequired,
            Told::InvalidCredentials => Self::InvalidCredentials,
            Told::AccountDisabled => Self::Disabled,
        }
    }
}

impl From<StoreError> for IssueSecondFactorError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
