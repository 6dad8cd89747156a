//! How every operation begins: who asks, what the account is, whether the rate limits let it be checked.

use crate::limits::rate_limit::{AttemptOutcome, RateLimitKeys, TooManyAttempts};
use crate::operations::env::RequestContext;
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, Stopped, StoreError};
use crate::store::interface::Store;
use crate::store::snapshot::{AccountSnapshot, NameMatch};
use crate::types::account::Account;
use crate::types::audit::{Action, Caller};
use crate::types::keys::HasKeyring;
use crate::types::mask::mask_password_like;
use crate::types::settings::Limits;
use crate::types::time::UnixTime;
use crate::types::username::Username;
use crate::verify::credentials::check_locks;
use crate::verify::refusal::Refusal;
use cofrap_crypto::{DigestKey, Keyring};

/// Who asks, when, and under which keys that is counted.
pub(crate) struct Requester<'e> {
    caller: &'e Caller,
    limits: &'e Limits,
    rate_limit_keys: RateLimitKeys,
    pub(crate) now: UnixTime,
}

impl<'e> Requester<'e> {
    /// For an operation on the account of a name; on none with an empty name.
    pub(crate) fn new<K>(context: &'e RequestContext<K>, username: &str, key: &DigestKey, now: UnixTime) -> Self {
        let rate_limit_keys = RateLimitKeys::of(&context.caller, username, key);
        Self { caller: &context.caller, limits: &context.settings.limits, rate_limit_keys, now }
    }

    /// An attempt before anything was checked.
    pub(crate) const fn attempt<'a>(&'a self, action: Action, username: Option<&'a str>) -> Attempt<'a> {
        Attempt {
            action,
            username,
            alias: None,
            caller: self.caller,
            at: self.now,
            proof: None,
            rate_limit_keys: &self.rate_limit_keys,
            limits: self.limits,
            known_address: false,
            name_has_failures: false,
            outcome: AttemptOutcome::NotChecked,
            needed_keys: "",
        }
    }
}

/// A request about one account, once its first statement was made.
pub(crate) struct Case<'e, K> {
    pub(crate) context: &'e RequestContext<K>,
    pub(crate) username: &'e Username,
    pub(crate) now: UnixTime,
    pub(crate) snapshot: AccountSnapshot,
    action: Action,
    requester: Requester<'e>,
    alias: Option<String>,
    needed_keys: String,
}

impl<'e, K: HasKeyring> Case<'e, K> {
    /// Reads the account of a name, and checks that the configured keys fit what is stored.
    pub(crate) fn open(
        store: &mut impl Store,
        context: &'e RequestContext<K>,
        now: UnixTime,
        action: Action,
        username: &'e Username,
        name_match: NameMatch,
    ) -> Result<Self, StoreError> {
        let keyring = context.keys.keyring();
        let digest_key = keyring.digest_key();
        let requester = Requester::new(context, username.as_str(), &digest_key, now);
        let snapshot = store.find(username, name_match, &requester.rate_limit_keys)?.without_future_times(now);
        let alias = match snapshot.account() {
            Some(_) => None,
            None => mask_password_like(username.as_str(), &digest_key),
        };
        let needed_keys = snapshot.keys.check(keyring)?;
        Ok(Self { context, username, now, snapshot, action, requester, alias, needed_keys })
    }

    /// The account of exactly the given name.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.snapshot.account()
    }

    pub(crate) fn keyring(&self) -> &'e Keyring {
        self.context.keys.keyring()
    }

    pub(crate) const fn rate_limit_keys(&self) -> &RateLimitKeys {
        &self.requester.rate_limit_keys
    }

    /// The attempt, before its outcome is known.
    pub(crate) fn attempt(&self) -> Attempt<'_> {
        Attempt {
            alias: self.alias.as_deref(),
            known_address: self.snapshot.counts.known_address,
            name_has_failures: self.snapshot.counts.name_has_failures,
            needed_keys: &self.needed_keys,
            ..self.requester.attempt(self.action, Some(self.username.as_str()))
        }
    }

    /// Whether the rate limits let the credentials be checked. Records the refusal if not.
    pub(crate) fn check_locks(&self, store: &mut impl Store) -> Result<(), Stopped> {
        check_locks(self.account(), &self.snapshot.counts, &self.context.settings.limits, self.now)
            .map_err(|error| self.refuse_locked(store, error))
    }

    /// Records a refusal.
    pub(crate) fn refuse(
        &self,
        store: &mut impl Store,
        outcome: AttemptOutcome,
        refusal: &Refusal,
    ) -> Result<(), Stopped> {
        record_refusal(store, &self.attempt().with_outcome(outcome), refusal)
    }

    /// Records the refusal of an operator's request.
    pub(crate) fn refuse_operator(&self, store: &mut impl Store, refusal: &Refusal) -> Result<(), Stopped> {
        record_refusal(store, &self.attempt().by_operator(), refusal)
    }

    /// Records a refusal because a rate limit was reached before anything was checked. Returns what the caller is told.
    pub(crate) fn refuse_locked(&self, store: &mut impl Store, error: TooManyAttempts) -> Stopped {
        match store.refuse_locked(&self.attempt(), self.account().map(|account| account.id), &error) {
            Ok(()) => error.into(),
            Err(error) => error.into(),
        }
    }
}

/// Records a refusal.
///
/// # Errors
/// [`Stopped`], also when a rate limit was reached meanwhile, which the caller is told instead.
pub(crate) fn record_refusal(store: &mut impl Store, attempt: &Attempt<'_>, refusal: &Refusal) -> Result<(), Stopped> {
    match store.refuse(attempt, refusal)? {
        Saved::Yes(()) | Saved::Overtaken | Saved::SessionEnded | Saved::Resealed => Ok(()),
        Saved::Locked => Err(Stopped::locked_meanwhile()),
    }
}
