//! `check_health`: whether the functions can work, and what is missing if they cannot.

use crate::store::error::StoreError;
use crate::store::snapshot::HealthSnapshot;
use crate::types::settings::Policy;
use cofrap_crypto::Keyring;

/// Whether a part of what the functions need is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is.
    Ok,
    /// It is not.
    Unavailable,
    /// Whether it is cannot be told without the database.
    Unknown,
}

/// What the functions need.
#[derive(Debug)]
pub struct Health {
    /// The database answers, and takes writes.
    pub database: Part,
    /// It has the functions of the version that these components call.
    pub schema: Part,
    /// The schemas of such functions that it has, one for each version.
    pub schemas: Vec<String>,
    /// Tables whose numbers lag behind what is stored, or are nearly used up.
    pub weak_sequences: Vec<String>,
    /// The keys can be used, and fit what is stored.
    pub keys: Part,
    /// The policy; none if the configuration names none that exists.
    pub policy: Option<Policy>,
}

impl Health {
    /// Whether everything is there.
    #[must_use]
    pub fn is_well(&self) -> bool {
        [self.database, self.schema, self.keys].iter().all(|part| *part == Part::Ok) && self.policy.is_some()
    }
}

/// Looks at everything that the functions need, with what the database answered; the first cause of what is missing is for the
/// log. `configured` has the policy, and the keys if they can be used; without settings nobody can tell either.
pub fn check_health(
    snapshot: Result<HealthSnapshot, StoreError>,
    configured: Option<(Policy, Option<&Keyring>)>,
) -> (Health, Option<StoreError>) {
    let part = |is_there| if is_there { Part::Ok } else { Part::Unavailable };
    let policy = configured.map(|(policy, _)| policy);
    let keyring = configured.and_then(|(_, keyring)| keyring);
    let unchecked_keys = if configured.is_some() && keyring.is_none() { Part::Unavailable } else { Part::Unknown };
    let health = Health {
        database: Part::Unavailable,
        schema: Part::Unknown,
        schemas: Vec::new(),
        weak_sequences: Vec::new(),
        keys: unchecked_keys,
        policy,
    };
    let snapshot = match snapshot {
        Ok(snapshot) => snapshot,
        Err(error) => return (health, Some(error)),
    };
    if !snapshot.takes_writes {
        let schemas = snapshot.schemas;
        return (Health { schemas, ..health }, Some(StoreError::Unavailable("it takes no writes".to_owned())));
    }
    let fit = keyring.zip(snapshot.keys.as_ref()).map(|(keyring, keys)| keys.check(keyring));
    let health = Health {
        database: Part::Ok,
        schema: part(snapshot.keys.is_some()),
        schemas: snapshot.schemas,
        weak_sequences: snapshot.weak_sequences,
        keys: fit.as_ref().map_or(unchecked_keys, |fit| part(fit.is_ok())),
        ..health
    };
    (health, fit.and_then(Result::err))
}
