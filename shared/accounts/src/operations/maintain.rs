//! `maintain`: what a database needs from time to time, in batches. Each says whether another one is due.

use crate::operations::case::Requester;
use crate::operations::env::{Clock, Env, RequestContext};
use crate::operations::operator::{OperatorError, done, require_operator};
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, StoreError};
use crate::store::interface::MaintenanceStore;
use crate::store::maintenance::{MaintenanceBatch, NamedEntry, Partitions};
use crate::types::audit::Action;
use crate::types::bearer::Bearer;
use crate::types::keys::AdministrationKeys;
use crate::types::mask::{is_mask, mask};
use crate::verify::operator::OperatorProof;
use cofrap_crypto::DigestKey;
use rand_core::CryptoRng;

/// A request for a batch of maintenance.
#[derive(Debug)]
pub struct Maintain {
    /// The operator's token.
    pub bearer: Bearer,
}

/// What a batch of maintenance did.
#[derive(Debug)]
pub struct Maintained {
    /// To the audit's partitions.
    pub partitions: Partitions,
    /// To rows.
    pub batch: MaintenanceBatch,
    /// Audit rows whose names were replaced by digests.
    pub masked: i64,
    /// Names of removed accounts, which nobody had ever completed.
    pub accounts: Vec<String>,
}

impl Maintained {
    /// Whether another batch is due.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.batch.has_more || self.masked >= MASKED_ROWS || self.accounts.len() >= REMOVED_ACCOUNTS
    }
}

/// How many rows of each kind a batch looks at.
const BATCH_ROWS: i64 = 2_000;

/// In how many rows a batch replaces names. The functions compute the digests.
const MASKED_ROWS: i64 = 500;

/// How many accounts a batch removes.
const REMOVED_ACCOUNTS: usize = 100;

/// Carries out a batch for an operator.
///
/// # Errors
/// See [`OperatorError`].
pub fn maintain(
    env: &mut Env<impl MaintenanceStore, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &Maintain,
) -> Result<Maintained, OperatorError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let requester = Requester::new(context, "", &context.keys.keyring.digest_key(), now);
    let attempt = requester.attempt(Action::Maintained, None);
    let operator = require_operator(store, context.keys.operator.as_ref(), &command.bearer, &attempt)?;
    let batch = store.maintain(&attempt.by_operator(), &operator, context.settings.retention, BATCH_ROWS)?;
    Ok(finish(store, context, &attempt.by_operator(), &operator, done(batch)?)?)
}

/// Carries out a batch for the owner of the database's tables, who needs no token: a job of the cluster.
///
/// # Errors
/// [`StoreError`]
pub fn maintain_as_owner(
    env: &mut Env<impl MaintenanceStore, impl Clock, impl CryptoRng, AdministrationKeys>,
) -> Result<Maintained, StoreError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let requester = Requester::new(context, "", &context.keys.keyring.digest_key(), now);
    let (attempt, operator) = (requester.attempt(Action::Maintained, None), OperatorProof::of_owner());
    let Saved::Yes(batch) = store.maintain(&attempt, &operator, context.settings.retention, BATCH_ROWS)? else {
        return Err(StoreError::NotTheOperator);
    };
    finish(store, context, &attempt, &operator, batch)
}

/// The steps of a batch that have no limits to check.
fn finish(
    store: &mut impl MaintenanceStore,
    context: &RequestContext<AdministrationKeys>,
    attempt: &Attempt<'_>,
    operator: &OperatorProof,
    batch: MaintenanceBatch,
) -> Result<Maintained, StoreError> {
    let (now, settings) = (attempt.at, &context.settings);
    let accounts = store.remove_accounts(attempt, operator, REMOVED_ACCOUNTS)?;
    let mut partitions = store.keep_partitions(operator, now, settings.retention)?;
    if !partitions.made.is_empty() {
        // A call that makes partitions drops none.
        partitions.dropped = store.keep_partitions(operator, now, settings.retention)?.dropped;
    }
    let key = context.keys.keyring.digest_key();
    let mut named = store.find_names(operator, now, MASKED_ROWS)?;
    for entry in &mut named {
        mask_names(entry, &key);
    }
    let masked = if named.is_empty() { 0 } else { store.mask_names(operator, now, &named)? };
    let maintained = Maintained { partitions, batch, masked, accounts };
    if !maintained.has_more() {
        store.count_accounts(operator, now, settings.password_max_age)?;
    }
    Ok(maintained)
}

/// Replaces the names that no account had by digests.
fn mask_names(entry: &mut NamedEntry, key: &DigestKey) {
    let masked = |name: &str| if is_mask(name) { name.to_owned() } else { mask(name, key) };
    if !entry.is_known {
        entry.username = entry.username.as_deref().map(masked);
    }
    for (name, is_known) in entry.names.iter_mut().flatten() {
        if !*is_known {
            *name = masked(name);
        }
    }
}
