//! `create_account`: creates an account with a password that its owner chose.

use crate::limits::rate_limit::AttemptOutcome;
use crate::operations::case::Case;
use crate::operations::env::{Clock, Env};
use crate::store::error::{Saved, Stopped, StoreError};
use crate::store::interface::Store;
use crate::store::snapshot::{AccountLookup, NameMatch};
use crate::types::account::Origin;
use crate::types::audit::{Action, Reason};
use crate::types::bearer::Bearer;
use crate::types::chosen_password::ChosenPassword;
use crate::types::keys::IssuanceKeys;
use crate::types::username::{UnfitUsername, Username};
use crate::verify::authorizer::{Evidence, PublicDenial};
use crate::verify::credentials::PasswordStorage;
use crate::verify::refusal::Refusal;
use rand_core::CryptoRng;

/// A request for an account.
#[derive(Debug)]
pub struct CreateAccount {
    /// The account's name.
    pub username: Username,
    /// Its password.
    pub password: ChosenPassword,
    /// The operator's token, where only operators create accounts.
    pub bearer: Bearer,
}

/// Why no account was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateAccountError {
    /// Only an operator creates accounts, and the caller did not show the operator's token.
    #[error("the registration is not open to a caller without proof")]
    ProofRequired,
    /// An account has the name, or one that people cannot tell from it.
    #[error("the name is taken")]
    UsernameTaken,
    /// A new account may not have the name.
    #[error(transparent)]
    UnfitUsername(#[from] UnfitUsername),
    /// A rate limit was reached, or the store failed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Creates a provisional account under a free name, with a chosen password that is stored as a hash. Until the first complete login, only the
/// password permits changing anything about it.
///
/// # Errors
/// See [`CreateAccountError`]; nothing was created then.
pub fn create_account(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, IssuanceKeys>,
    request: CreateAccount,
) -> Result<(), CreateAccountError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let case = Case::open(store, context, now, Action::AccountCreated, &request.username, NameMatch::Confusable)?;
    case.check_issuance_limit(store, PasswordStorage::Hashed)?;
    let evidence = Evidence::of_bearer(request.bearer);
    let admin_intervention = match case.authorizer(&evidence, PasswordStorage::Hashed).may_create() {
        Ok(admin_intervention) => admin_intervention,
        Err(denied) => return Err(case.deny(store, denied)),
    };
    if !matches!(case.snapshot.lookup, AccountLookup::NotFound) {
        let account = case.account().map(|account| account.id);
        case.refuse(store, AttemptOutcome::NotChecked, &Refusal::of(account, Reason::UsernameTaken))?;
        return Err(CreateAccountError::UsernameTaken);
    }

    let username = case.new_username::<CreateAccountError>(store)?;
    let hash = request.password.hash(case.keyring(), &request.username, &mut env.rng);
    match case.create_account(store, &username, &hash, Origin::ChosenPassword, admin_intervention)? {
        Saved::Yes(_) => Ok(()),
        // A parallel request was first.
        Saved::Overtaken | Saved::Resealed | Saved::SessionEnded => Err(CreateAccountError::UsernameTaken),
        Saved::Locked => Err(Stopped::locked_meanwhile().into()),
    }
}

impl From<PublicDenial> for CreateAccountError {
    fn from(denial: PublicDenial) -> Self {
        match denial {
            // The operator's token is the only evidence that this operation takes.
            PublicDenial::ProofRequired
            | PublicDenial::InvalidCredentials
            | PublicDenial::AccountDisabled
            | PublicDenial::UnknownUser => Self::ProofRequired,
        }
    }
}

impl From<StoreError> for CreateAccountError {
    fn from(error: StoreError) -> Self {
        Self::Stopped(error.into())
    }
}
