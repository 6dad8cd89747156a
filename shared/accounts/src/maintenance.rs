//! `maintain`: what a database needs from time to time, in batches; each says whether there is more.

use crate::operator::{done, require_operator};
use crate::{
    Action, AdministrationKeys, Attempt, Bearer, Clock, Env, OperatorError, OperatorProof, ProofKind, Saved, Store,
    StoreError, Subjects, Tally, UnixTime,
};
use cofrap_crypto::SubjectKey;
use rand_core::CryptoRng;

/// How many days rows of the audit are kept; 0 is for ever.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Attempts that were refused.
    pub refusals_days: i64,
    /// What was done, and whatever an operator asked.
    pub actions_days: i64,
}

impl Retention {
    /// The least that may be set, besides 0; the database lets nothing go that is younger.
    pub const MIN_DAYS: u64 = 30;
}

/// What an operator asks for a batch of maintenance.
#[derive(Debug)]
pub struct Maintain {
    /// The operator's token.
    pub bearer: Bearer,
}

/// What a batch of maintenance has done.
#[derive(Debug)]
pub struct Maintained {
    /// With the audit's partitions.
    pub partitions: Partitions,
    /// With rows.
    pub batch: MaintenanceBatch,
    /// Rows of the audit whose names became digests.
    pub masked: i64,
    /// Accounts that were removed, since nobody ever completed them.
    pub accounts: Vec<String>,
}

impl Maintained {
    /// Whether another batch would find something to do.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.batch.has_more || self.masked >= MASKED_ROWS || self.accounts.len() >= REMOVED_ACCOUNTS
    }
}

/// What became of the audit's partitions, by name.
#[derive(Debug)]
pub struct Partitions {
    /// Made, for the months to come.
    pub made: Vec<String>,
    /// Dropped, every row being older than it is kept.
    pub dropped: Vec<String>,
    /// Left for the next time, since others were using the table.
    pub busy: Vec<String>,
}

/// What became of rows.
#[derive(Debug)]
pub struct MaintenanceBatch {
    /// Rows of the audit that were written for what was locked, each for a minute.
    pub locked_minutes: i64,
    /// Rows of the audit that were added to the totals.
    pub counted: i64,
    /// Rows of the audit that were removed: refused attempts.
    pub refusals: i64,
    /// Rows of the audit that were removed: what was done.
    pub actions: i64,
    /// Counters of failures that were removed.
    pub counters: i64,
    /// Marks of ended sessions that were removed.
    pub sessions: i64,
    /// Whether the functions' clock and the database's are more than five minutes apart: then nothing was removed.
    pub clocks_differ: bool,
    /// Whether there is more of any of it.
    pub has_more: bool,
}

/// A row of the audit with names that no account had.
#[derive(Debug)]
pub struct NamedEntry {
    /// Its number.
    pub id: i64,
    /// The name that was given.
    pub username: Option<String>,
    /// Whether the name is an account's, though the row does not say so.
    pub is_known: bool,
    /// Names that were given, where it stands for many attempts, and whether each was an account's.
    pub names: Option<Vec<(String, bool)>>,
}

/// Rows that a batch looks at, of each kind.
const BATCH_ROWS: i64 = 2_000;

/// Rows whose names a batch makes digests of: each is made here.
const MASKED_ROWS: i64 = 500;

/// Accounts that a batch removes.
const REMOVED_ACCOUNTS: usize = 100;

/// Does a batch.
///
/// # Errors
/// See [`OperatorError`].
pub fn maintain(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &Maintain,
) -> Result<Maintained, OperatorError> {
    let (now, key) = (env.clock.now(), env.keys.keyring.subject_key());
    let (subjects, limits) = (Subjects::of(&env.caller, "", &key), env.settings.limits);
    let attempt = Attempt::new(Action::Maintained, None, &env.caller, &subjects, &limits, now);
    let operator = require_operator(&mut env.store, env.keys.operator.as_ref(), &command.bearer, &attempt)?;
    let attempt = Attempt { proof: Some(ProofKind::Operator), ..attempt }.that_came_to(Tally::TokenRight);
    let batch = done(env.store.maintain(&attempt, &operator, env.settings.retention, BATCH_ROWS)?)?;
    let accounts = env.store.remove_accounts(&attempt, &operator, REMOVED_ACCOUNTS)?;
    Ok(finish(env, batch, accounts, &operator, &key, now)?)
}

/// The same for who may write the database's tables, and needs no token: a task of the cluster.
///
/// # Errors
/// [`StoreError`]
pub fn maintain_as_owner(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, AdministrationKeys>,
) -> Result<Maintained, StoreError> {
    let (now, key) = (env.clock.now(), env.keys.keyring.subject_key());
    let (subjects, limits) = (Subjects::of(&env.caller, "", &key), env.settings.limits);
    let attempt = Attempt::new(Action::Maintained, None, &env.caller, &subjects, &limits, now);
    let operator = OperatorProof::of_owner();
    let Saved::Yes(batch) = env.store.maintain(&attempt, &operator, env.settings.retention, BATCH_ROWS)? else {
        return Err(StoreError::NotTheOperator);
    };
    let accounts = env.store.remove_accounts(&attempt, &operator, REMOVED_ACCOUNTS)?;
    finish(env, batch, accounts, &operator, &key, now)
}

fn finish(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, AdministrationKeys>,
    batch: MaintenanceBatch,
    accounts: Vec<String>,
    operator: &OperatorProof,
    key: &SubjectKey,
    now: UnixTime,
) -> Result<Maintained, StoreError> {
    let mut partitions = env.store.keep_partitions(operator, now, env.settings.retention)?;
    if !partitions.made.is_empty() {
        // Where some were made, none was dropped yet.
        partitions.dropped = env.store.keep_partitions(operator, now, env.settings.retention)?.dropped;
    }
    let mut named = env.store.find_names(operator, now, MASKED_ROWS)?;
    for entry in &mut named {
        entry.mask(key);
    }
    let masked = if named.is_empty() { 0 } else { env.store.mask_names(operator, now, &named)? };
    let maintained = Maintained { partitions, batch, masked, accounts };
    if !maintained.has_more() {
        env.store.count_accounts(operator, now, env.settings.password_max_age)?;
    }
    Ok(maintained)
}

impl NamedEntry {
    /// Puts digests in the place of names that no account had.
    fn mask(&mut self, key: &SubjectKey) {
        let masked = |name: &str| {
            if is_mask(name) { name.to_owned() } else { format!("{MASK}{}", key.digest(&["log", name])) }
        };
        if !self.is_known {
            self.username = self.username.as_deref().map(masked);
        }
        for (name, is_known) in self.names.iter_mut().flatten() {
            if !*is_known {
                *name = masked(name);
            }
        }
    }
}

/// Whether a name is a digest already: 43 characters of base64url after the mark.
fn is_mask(name: &str) -> bool {
    let digest = name.strip_prefix(MASK).unwrap_or_default();
    digest.len() == 43 && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// How a digest begins that stands in the place of a name.
pub(crate) const MASK: &str = "digest:";
