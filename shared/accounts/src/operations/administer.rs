//! `administer`: an operator's actions on an account or an address.

use crate::limits::rate_limit::{AttemptOutcome, RateLimitKeys};
use crate::operations::case::{Case, Requester};
use crate::operations::env::{Clock, Env};
use crate::operations::operator::{OperatorError, done, require_operator};
use crate::store::attempt::Attempt;
use crate::store::interface::OperatorStore;
use crate::store::snapshot::NameMatch;
use crate::types::account::{Access, AccountStatus, AdminIntervention};
use crate::types::audit::{Action, ProofKind, Reason};
use crate::types::bearer::Bearer;
use crate::types::keys::AdministrationKeys;
use crate::types::username::Username;
use crate::verify::refusal::Refusal;
use rand_core::CryptoRng;
use std::net::IpAddr;

/// An operator's action on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAction {
    /// Forgets its failures in a row.
    Unlock,
    /// Has both factors renewed.
    Expire,
    /// Disables it.
    Disable,
    /// Enables it again, in the state that it had.
    Enable,
    /// Erases its second factor. For a day, its owner may enrol another one with the password alone.
    ResetSecondFactor,
    /// Ends all its sessions.
    EndSessions,
}

impl AccountAction {
    const fn audited(self) -> Action {
        match self {
            Self::Unlock => Action::AccountUnlocked,
            Self::Expire => Action::AccountExpired,
            Self::Disable => Action::AccountDisabled,
            Self::Enable => Action::AccountEnabled,
            Self::ResetSecondFactor => Action::SecondFactorReset,
            Self::EndSessions => Action::SessionsEnded,
        }
    }
}

/// A request for an action on an account.
#[derive(Debug)]
pub struct Administer {
    /// The account's name.
    pub username: Username,
    /// The action.
    pub action: AccountAction,
    /// The operator's token.
    pub bearer: Bearer,
}

/// A request to forget the counts of an address.
#[derive(Debug)]
pub struct FreeAddress {
    /// The address; of an IPv6 address, its /64 is freed.
    pub address: IpAddr,
    /// The operator's token.
    pub bearer: Bearer,
}

/// A request of an operator's.
#[derive(Debug)]
pub enum OperatorCommand {
    /// For an account.
    Account(Administer),
    /// For an address.
    Address(FreeAddress),
}

/// Carries out an operator's request.
///
/// # Errors
/// See [`OperatorError`].
pub fn administer(
    env: &mut Env<impl OperatorStore, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &OperatorCommand,
) -> Result<(), OperatorError> {
    match command {
        OperatorCommand::Account(command) => administer_account(env, command),
        OperatorCommand::Address(command) => free_address(env, command),
    }
}

fn administer_account(
    env: &mut Env<impl OperatorStore, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &Administer,
) -> Result<(), OperatorError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let (keyring, operator) = (&context.keys.keyring, context.keys.operator.as_ref());
    let (name, action) = (command.username.as_str(), command.action.audited());
    let requester = Requester::new(context, name, &keyring.digest_key(), now);
    let operator = require_operator(store, operator, &command.bearer, &requester.attempt(action, Some(name)))?;

    let case = Case::open(store, context, now, action, &command.username, NameMatch::Exact)?;
    if let Err(error) = case.snapshot.counts.check_address(&context.settings.limits, now) {
        return Err(case.refuse_locked(store, error).into());
    }
    let Some(account) = case.account() else {
        case.refuse_operator(store, &Refusal::of(None, Reason::UnknownUser))?;
        return Err(OperatorError::UnknownUser);
    };
    if !account.is_intact(keyring) {
        case.refuse_operator(store, &Refusal::of(Some(account.id), Reason::AlteredRow))?;
        return Err(OperatorError::Altered);
    }
    let access = match command.action {
        AccountAction::Disable => Access::Disabled,
        AccountAction::Enable => Access::Enabled,
        _ => account.status.access,
    };
    let status = AccountStatus { admin_intervention: AdminIntervention::Happened, access, ..account.status };
    let mac = account.mac_of(status, keyring);
    done(store.administer(&case.attempt().by_operator(), &operator, account, status, (&mac, keyring.first_id()))?)
}

/// Forgets the counts of an address: its failures, and the credentials that it asked for.
fn free_address(
    env: &mut Env<impl OperatorStore, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &FreeAddress,
) -> Result<(), OperatorError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let key = context.keys.keyring.digest_key();
    let requester = Requester::new(context, "", &key, now);
    let attempt = requester.attempt(Action::AddressUnlocked, None);
    let operator = require_operator(store, context.keys.operator.as_ref(), &command.bearer, &attempt)?;
    // It does not count for the caller's own address, which may be the one to free.
    let attempt = Attempt { proof: Some(ProofKind::Operator), outcome: AttemptOutcome::NotChecked, ..attempt };
    let operator_key = context.keys.operator.as_ref().ok_or(OperatorError::NotOffered)?.digest_key();
    let [freed, by_operator_key] =
        [&key, &operator_key].map(|key| RateLimitKeys::of_address(Some(command.address), "", key));
    done(store.free_address(&attempt, &operator, command.address, [&freed, &by_operator_key])?)
}
