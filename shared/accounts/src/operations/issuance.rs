//! What the operations that issue credentials share: the rate limit, the authorizer, denials, and creating an account.

use crate::limits::rate_limit::AttemptOutcome;
use crate::operations::case::Case;
use crate::store::accounts::NewAccount;
use crate::store::attempt::Attempt;
use crate::store::error::{Saved, Stopped, StoreError};
use crate::store::interface::Store;
use crate::types::account::{AccountStatus, AdminIntervention, Origin};
use crate::types::audit::Reason;
use crate::types::keys::IssuanceKeys;
use crate::types::settings::ReplacementRule;
use crate::types::username::{NewUsername, UnfitUsername};
use crate::verify::authorizer::{Authorizer, Denied, Evidence, PublicDenial};
use crate::verify::credentials::PasswordStorage;
use crate::verify::refusal::Refusal;
use cofrap_crypto::{Sealed, SecretColumn};

impl Case<'_, IssuanceKeys> {
    /// Whether the caller's address may ask for more credentials; where a check costs a hash, also whether it may try at all.
    pub(crate) fn check_issuance_limit(&self, store: &mut impl Store, storage: PasswordStorage) -> Result<(), Stopped> {
        let (counts, limits) = (&self.snapshot.counts, &self.context.settings.limits);
        let checked = counts.check_issuance_limit(limits, self.now).and_then(|()| match storage {
            PasswordStorage::Sealed => Ok(()),
            PasswordStorage::Hashed => counts.check_address(limits, self.now),
        });
        checked.map_err(|error| self.refuse_locked(store, error))
    }

    /// Who decides what the caller may do with this evidence.
    pub(crate) fn authorizer<'a>(&'a self, evidence: &'a Evidence, storage: PasswordStorage) -> Authorizer<'a> {
        Authorizer {
            keys: &self.context.keys,
            storage,
            settings: &self.context.settings,
            counts: &self.snapshot.counts,
            rate_limit_keys: self.rate_limit_keys(),
            evidence,
            now: self.now,
        }
    }

    /// Records a denial, and returns what the caller learns.
    pub(crate) fn deny<E: From<Stopped> + From<PublicDenial>>(&self, store: &mut impl Store, denied: Denied) -> E {
        match denied {
            Denied::Locked(error) => self.refuse_locked(store, error).into(),
            Denied::Refused { refusal, outcome, denial } => match self.refuse(store, outcome, &refusal) {
                Ok(()) => denial.into(),
                Err(stopped) => stopped.into(),
            },
        }
    }

    /// The name, if a new account may have it. Records the refusal if not.
    pub(crate) fn new_username<E: From<Stopped> + From<UnfitUsername>>(
        &self,
        store: &mut impl Store,
    ) -> Result<NewUsername<'_>, E> {
        let name = NewUsername::try_from(self.username);
        if name.is_err() {
            self.refuse(store, AttemptOutcome::NotChecked, &Refusal::of(None, Reason::InvalidUsername))?;
        }
        Ok(name?)
    }

    /// Creates a provisional account.
    pub(crate) fn create_account(
        &self,
        store: &mut impl Store,
        username: &NewUsername<'_>,
        password: &Sealed,
        origin: Origin,
        admin_intervention: AdminIntervention,
    ) -> Result<Saved, StoreError> {
        let username = username.username();
        let (status, name) = (AccountStatus::of_new(origin, admin_intervention), username.as_str());
        let account = NewAccount {
            username,
            password,
            past_password: &self.keyring().seal_for_history(password, SecretColumn::PastPassword.of(name)),
            status,
            mac: &status.mac_for_new(name, self.keyring()),
            legacy: self.context.settings.policy.rules().replacement == ReplacementRule::Open,
        };
        let attempt: Attempt<'_> = match admin_intervention {
            AdminIntervention::Happened => self.attempt().by_operator(),
            AdminIntervention::Never => self.attempt(),
        };
        store.create_account(&attempt, &account)
    }
}
