//! `issue_second_factor`: gives an account the secret of its one-time codes.

use crate::operations::case::Case;
use crate::operations::env::{Clock, Env};
use crate::store::accounts::NewSecondFactor;
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, Stopped, StoreError};
use crate::store::interface::Store;
use crate::store::snapshot::NameMatch;
use crate::types::audit::Action;
use crate::types::issuer::Issuer;
use crate::types::keys::IssuanceKeys;
use crate::types::username::Username;
use crate::verify::authorizer::{CredentialKind, Evidence, PublicDenial};
use crate::verify::credentials::PasswordStorage;
use crate::verify::grant::TakesEffect;
use cofrap_crypto::{SecretColumn, TotpSecret, provisioning_uri};
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

/// A request for a second factor.
#[derive(Debug)]
pub struct IssueSecondFactor {
    /// The account's name.
    pub username: Username,
    /// The issuer that the authenticator app shows.
    pub issuer: Issuer,
    /// What the caller shows as proof.
    pub evidence: Evidence,
    /// How this version of the API stores passwords.
    pub storage: PasswordStorage,
}

/// An issued second factor. Nothing else holds its clear text.
pub struct IssuedSecondFactor {
    /// The account's name.
    pub username: Username,
    /// The issuer.
    pub issuer: Issuer,
    /// The secret in base32.
    pub secret: Zeroizing<String>,
    /// The URI that the authenticator app reads. It contains the secret.
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
    /// The caller must prove something first, or there is no such account: the answer is the same.
    #[error("the account is not open to a caller without proof")]
    ProofRequired,
    /// There is no such account. Only the legacy policy and operators learn this.
    #[error("there is no such account")]
    UnknownUser,
    /// The password or the code shown as proof is wrong.
    #[error("the credentials do not hold")]
    InvalidCredentials,
    /// The proof is right, and the account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Another request replaced the credentials first.
    #[error("another request replaced the credentials first")]
    Overtaken,
    /// A rate limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Issues a second factor. An account that nobody has proven to own gets it at once, one for each password. An active account gets one that
/// waits beside the old one until one of its codes is accepted.
///
/// # Errors
/// See [`IssueSecondFactorError`]; nothing was replaced then.
pub fn issue_second_factor(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, IssuanceKeys>,
    issue: &IssueSecondFactor,
) -> Result<IssuedSecondFactor, IssueSecondFactorError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let case = Case::open(store, context, now, Action::SecondFactorGenerated, &issue.username, NameMatch::Exact)?;
    case.check_issuance_limit(store, issue.storage)?;
    let authorizer = case.authorizer(&issue.evidence, issue.storage);
    let Some(account) = case.account() else { return Err(case.deny(store, authorizer.deny_unknown())) };
    let grant = match authorizer.authorize(CredentialKind::SecondFactor, account) {
        Ok(grant) => grant,
        Err(denied) => return Err(case.deny(store, denied)),
    };

    let (keyring, settings) = (case.keyring(), &context.settings);
    let issued_at = account.issue_time(now, settings.password_max_age);
    let secret = TotpSecret::generate(&mut env.rng);
    let takes_effect = grant.takes_effect();
    let (column, in_force_since) = match takes_effect {
        TakesEffect::AtOnce => (SecretColumn::SecondFactor, issued_at),
        TakesEffect::AtItsFirstCode => (SecretColumn::PendingSecondFactor, account.second_factor_issued_at()),
    };
    let base32 = secret.expose_base32();
    let mac = account.mac_of(grant.status_after(), keyring);
    let expiry = grant.expiry_after(account.password_issued_at, in_force_since, issued_at, settings);
    let change = NewSecondFactor {
        secret: &account.seal(keyring, &base32, column, issued_at),
        takes_effect,
        expiry,
        change: grant.change(&mac, settings),
    };
    let attempt = Attempt { at: issued_at, proof: grant.proof(), ..case.attempt() };
    match store.replace_second_factor(&attempt.with_outcome(grant.outcome(expiry)), &grant, &change)? {
        Saved::Yes(_) => Ok(IssuedSecondFactor {
            username: issue.username.clone(),
            issuer: issue.issuer.clone(),
            secret: base32,
            provisioning_uri: provisioning_uri(issue.issuer.as_str(), issue.username.as_str(), &secret),
        }),
        Saved::Overtaken | Saved::Resealed => Err(IssueSecondFactorError::Overtaken),
        Saved::SessionEnded => Err(IssueSecondFactorError::ProofRequired),
        Saved::Locked => Err(Stopped::locked_meanwhile().into()),
    }
}

impl From<PublicDenial> for IssueSecondFactorError {
    fn from(denial: PublicDenial) -> Self {
        match denial {
            PublicDenial::UnknownUser => Self::UnknownUser,
            PublicDenial::ProofRequired => Self::ProofRequired,
            PublicDenial::InvalidCredentials => Self::InvalidCredentials,
            PublicDenial::AccountDisabled => Self::Disabled,
        }
    }
}

impl From<StoreError> for IssueSecondFactorError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
