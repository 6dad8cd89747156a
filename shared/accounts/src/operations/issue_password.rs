//! `issue_password`: gives an account a generated password.

use crate::limits::rate_limit::AttemptOutcome;
use crate::operations::case::Case;
use crate::operations::env::{Clock, Env};
use crate::store::accounts::NewPassword;
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, Stopped, StoreError};
use crate::store::interface::Store;
use crate::store::snapshot::{AccountLookup, NameMatch};
use crate::types::account::{Account, AdminIntervention, Origin};
use crate::types::audit::{Action, Reason};
use crate::types::keys::IssuanceKeys;
use crate::types::time::UnixTime;
use crate::types::username::{UnfitUsername, Username};
use crate::verify::authorizer::{CredentialKind, Evidence, PublicDenial};
use crate::verify::credentials::PasswordStorage;
use crate::verify::grant::Grant;
use crate::verify::refusal::Refusal;
use cofrap_crypto::{Password, Sealed, SecretColumn};
use rand_core::CryptoRng;

/// A request for a password.
#[derive(Debug)]
pub struct IssuePassword {
    /// The account's name, new or not.
    pub username: Username,
    /// What the caller shows as proof.
    pub evidence: Evidence,
    /// How the password is stored.
    pub storage: PasswordStorage,
    /// What happens if no account has the name.
    pub unknown: UnknownName,
}

/// What happens if no account has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownName {
    /// An account is created.
    Create,
    /// The request is refused.
    Refuse,
}

/// An issued password. Nothing else holds its clear text.
#[derive(Debug)]
pub struct IssuedPassword {
    /// The account's name.
    pub username: Username,
    /// The clear password, to be shown once.
    pub password: Password,
    /// When it was issued.
    pub issued_at: UnixTime,
}

/// Why no password was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssuePasswordError {
    /// The caller must prove something first.
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
    /// People cannot tell the name from another account's.
    #[error("another account's name is the same to people")]
    UsernameTaken,
    /// A new account may not have the name.
    #[error(transparent)]
    UnfitUsername(#[from] UnfitUsername),
    /// Another request replaced the credentials first.
    #[error("another request replaced the credentials first")]
    Overtaken,
    /// A rate limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Issues a password: for a new account under a free name, for an account that nobody has proven to own, or as proof permits.
///
/// The clear text leaves through the return value alone; the store gets it encrypted or hashed.
///
/// # Errors
/// See [`IssuePasswordError`]; nothing was replaced then.
pub fn issue_password(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, IssuanceKeys>,
    issue: &IssuePassword,
) -> Result<IssuedPassword, IssuePasswordError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let name_match = match issue.unknown {
        UnknownName::Create => NameMatch::Confusable,
        UnknownName::Refuse => NameMatch::Exact,
    };
    let case = Case::open(store, context, now, Action::PasswordGenerated, &issue.username, name_match)?;
    case.check_issuance_limit(store, issue.storage)?;
    let authorizer = case.authorizer(&issue.evidence, issue.storage);

    let password = Password::generate(&mut env.rng);
    let (saved, issued_at) = match (case.account(), issue.unknown) {
        (Some(account), _) => {
            let grant = match authorizer.authorize(CredentialKind::Password, account) {
                Ok(grant) => grant,
                Err(denied) => return Err(case.deny(store, denied)),
            };
            let issued_at = account.issue_time(now, context.settings.password_max_age);
            let stored = protect(&case, issue.storage, &password, issued_at, &mut env.rng);
            (replace(&case, store, &grant, account, &stored, issued_at)?, issued_at)
        }
        (None, UnknownName::Refuse) => return Err(case.deny(store, authorizer.deny_unknown())),
        (None, UnknownName::Create) => {
            let admin_intervention = match authorizer.may_create() {
                Ok(admin_intervention) => admin_intervention,
                Err(denied) => return Err(case.deny(store, denied)),
            };
            (create(&case, store, issue.storage, &password, admin_intervention, &mut env.rng)?, now)
        }
    };

    match saved {
        Saved::Yes(_) => Ok(IssuedPassword { username: issue.username.clone(), password, issued_at }),
        Saved::Overtaken | Saved::Resealed => Err(IssuePasswordError::Overtaken),
        Saved::SessionEnded => Err(IssuePasswordError::ProofRequired),
        Saved::Locked => Err(Stopped::locked_meanwhile().into()),
    }
}

fn replace(
    case: &Case<'_, IssuanceKeys>,
    store: &mut impl Store,
    grant: &Grant<'_>,
    account: &Account,
    stored: &Sealed,
    issued_at: UnixTime,
) -> Result<Saved, StoreError> {
    let (keyring, settings) = (case.keyring(), &case.context.settings);
    let mac = account.mac_of(grant.status_after(), keyring);
    let expiry = grant.expiry_after(issued_at, account.second_factor_issued_at(), issued_at, settings);
    let change = NewPassword {
        password: stored,
        past_password: &keyring.seal_for_history(stored, SecretColumn::PastPassword.of(&account.username)),
        expiry,
        change: grant.change(&mac, settings),
    };
    let attempt = Attempt { at: issued_at, proof: grant.proof(), ..case.attempt() };
    store.replace_password(&attempt.with_outcome(grant.outcome(expiry)), grant, &change)
}

fn create(
    case: &Case<'_, IssuanceKeys>,
    store: &mut impl Store,
    storage: PasswordStorage,
    password: &Password,
    admin_intervention: AdminIntervention,
    rng: &mut impl CryptoRng,
) -> Result<Saved, IssuePasswordError> {
    if matches!(case.snapshot.lookup, AccountLookup::ConfusableName) {
        case.refuse(store, AttemptOutcome::NotChecked, &Refusal::of(None, Reason::UsernameTaken))?;
        return Err(IssuePasswordError::UsernameTaken);
    }
    let username = case.new_username::<IssuePasswordError>(store)?;
    let stored = protect(case, storage, password, case.now, rng);
    Ok(case.create_account(store, &username, &stored, Origin::SelfRegistered, admin_intervention)?)
}

/// A generated password as the account stores it.
fn protect(
    case: &Case<'_, IssuanceKeys>,
    storage: PasswordStorage,
    password: &Password,
    issued_at: UnixTime,
    rng: &mut impl CryptoRng,
) -> Sealed {
    let (keyring, context) = (case.keyring(), SecretColumn::Password.of(case.username.as_str()));
    match storage {
        PasswordStorage::Sealed => keyring.seal(password.expose(), issued_at.unsigned_seconds(), context),
        PasswordStorage::Hashed => {
            keyring.hash(password, context, rng).expect("a generated password is 24 ASCII characters")
        }
    }
}

impl From<PublicDenial> for IssuePasswordError {
    fn from(denial: PublicDenial) -> Self {
        match denial {
            PublicDenial::UnknownUser => Self::UnknownUser,
            PublicDenial::ProofRequired => Self::ProofRequired,
            PublicDenial::InvalidCredentials => Self::InvalidCredentials,
            PublicDenial::AccountDisabled => Self::Disabled,
        }
    }
}

impl From<StoreError> for IssuePasswordError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
