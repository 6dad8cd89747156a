//! What a request's first statement reads.

use crate::limits::rate_limit::RateLimitCounts;
use crate::store::error::StoreError;
use crate::types::account::{Account, AccountId};
use crate::types::time::UnixTime;
use cofrap_crypto::{KeyId, Keyring, SessionId};

/// How a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameMatch {
    /// The same bytes.
    Exact,
    /// Also names that people cannot tell from it: [`AccountLookup::ConfusableName`].
    Confusable,
}

/// The account of a name, and what the checks before the credentials need.
#[derive(Debug)]
pub struct AccountSnapshot {
    /// The account.
    pub lookup: AccountLookup,
    /// The counts of the name and the caller's address.
    pub counts: RateLimitCounts,
    /// The keys that stored secrets need.
    pub keys: StoredKeys,
}

/// The result of looking up a name.
#[derive(Debug)]
pub enum AccountLookup {
    /// The account of exactly that name.
    Account(Box<Account>),
    /// No account has the name, but one has a name that people cannot tell from it.
    ConfusableName,
    /// No account.
    NotFound,
}

impl AccountSnapshot {
    /// The account of exactly that name.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        match &self.lookup {
            AccountLookup::Account(account) => Some(account),
            AccountLookup::ConfusableName | AccountLookup::NotFound => None,
        }
    }

    /// The same without times from the future.
    pub(crate) fn without_future_times(mut self, now: UnixTime) -> Self {
        self.counts.ignore_future_times(now);
        if let AccountLookup::Account(account) = &mut self.lookup {
            account.ignore_future_times(now);
        }
        self
    }
}

/// The keys that stored secrets need.
#[derive(Debug, Default)]
pub struct StoredKeys {
    /// Names of the keys under which rows are known to be encrypted.
    pub registered: Vec<String>,
    /// Some tokens of other programs, whose keys are found out by decrypting them.
    pub samples: Vec<String>,
}

impl StoredKeys {
    /// Checks that the configured keys decrypt what is stored. With other keys nobody could log in, and what they encrypted would be lost
    /// when the right ones return. Returns the names of keys that rows will need and that are not registered yet, separated by commas.
    ///
    /// # Errors
    /// [`StoreError::WrongKeys`]
    pub fn check(&self, keyring: &Keyring) -> Result<String, StoreError> {
        if let Some(id) = self.registered.iter().find(|id| !keyring.has(id)) {
            return Err(StoreError::WrongKeys(format!("stored secrets need the key {id}, which is not in the list")));
        }
        let opened: Vec<_> = self.samples.iter().filter_map(|token| keyring.opener(token)).collect();
        if self.registered.is_empty() && !self.samples.is_empty() && opened.is_empty() {
            return Err(StoreError::WrongKeys("no key of the list opens the stored secrets".to_owned()));
        }
        let needed = std::iter::once(keyring.first_id()).chain(opened).map(KeyId::as_str);
        let unknown: Vec<_> = needed.filter(|id| !self.registered.iter().any(|known| known == id)).collect();
        Ok(unknown.join(","))
    }
}

/// What a session needs of its account.
#[derive(Debug)]
pub struct SessionAccount {
    /// The account's number.
    pub id: AccountId,
    /// Its name.
    pub username: String,
    /// The epoch that its sessions must have.
    pub epoch: i64,
    /// The session that was looked up.
    pub session: SessionId,
    /// When the older one of its password and second factor was issued.
    pub older_factor_issued_at: UnixTime,
    /// When the second factor that waits was issued, if one waits.
    pub pending_issued_at: Option<UnixTime>,
}

/// What tells whether the functions can work.
#[derive(Debug)]
pub struct HealthSnapshot {
    /// The schemas of functions that the database has, one for each version.
    pub schemas: Vec<String>,
    /// The keys that stored secrets need; none if this version's functions are missing.
    pub keys: Option<StoredKeys>,
    /// Tables whose numbers lag behind their rows, or are nearly used up.
    pub weak_sequences: Vec<String>,
    /// Whether the database takes writes. A standby does not.
    pub takes_writes: bool,
}
