//! An account as the database stores it: its status, its credentials, and whether they have expired.

use crate::types::time::{Age, UnixTime};
use cofrap_crypto::{Identity, Keyring, RowMac, Sealed, SecretColumn, TotpStep};

/// `users_v2.id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountId(pub i64);

/// An account as a request's first statement read it. The second statement checks that it has not changed.
#[derive(Debug)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its name, as it is stored.
    pub username: String,
    /// The version of the row that was read, as the database names it: every write makes another. None where it does not matter.
    pub row_version: Option<String>,
    /// Its status.
    pub status: AccountStatus,
    /// The MAC of the status; none if another program wrote the row.
    pub status_mac: Option<RowMac>,
    /// The stored password.
    pub password: Sealed,
    /// When the password was issued.
    pub password_issued_at: UnixTime,
    /// The password before the present one, while it is still accepted as proof.
    pub previous: Option<PreviousPassword>,
    /// The second factor in force, if the account has one.
    pub second_factor: Option<SecondFactor>,
    /// A new second factor that waits for its first code, beside the one in force.
    pub pending: Option<PendingSecondFactor>,
    /// Until when an account without a second factor may enrol; none means no limit.
    pub enrolment_ends: Option<UnixTime>,
    /// Whether it was marked as expired, by a login or by an operator.
    pub expiry: Expiry,
    /// Counters that rise with every change.
    pub counters: Counters,
    /// The latest time step whose code was accepted, under whatever secret.
    pub last_step: Option<TotpStep>,
    /// Wrong codes in a row behind a right password.
    pub otp_failures: i64,
    /// When a credential was last issued, and the digest of the address that asked.
    pub last_issuance: Option<(UnixTime, String)>,
}

/// The status of an account. Its [`RowMac`] detects edits in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountStatus {
    /// Its state.
    pub state: State,
    /// How it was created.
    pub origin: Origin,
    /// Whether the operator ever acted on it.
    pub admin_intervention: AdminIntervention,
    /// Whether it is disabled. The state is kept meanwhile.
    pub access: Access,
}

/// The state of an account. Expiry is not a state: it follows from the age of the credentials ([`Account::has_expired`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has completed a login yet.
    Provisional,
    /// A complete login has proven both factors.
    Active,
}

/// How an account was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody asked for a password under a free name.
    SelfRegistered,
    /// Somebody created it with a password of their choice.
    ChosenPassword,
    /// Another program wrote its row, or it existed before these functions.
    External,
}

/// Whether the operator ever acted on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminIntervention {
    /// Never.
    Never,
    /// An operator did: until a complete login, only an operator replaces its credentials.
    Happened,
}

/// Whether an account may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It may log in.
    Enabled,
    /// An operator disabled it.
    Disabled,
}

/// Whether an account was marked as expired. Its age is checked separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It was not marked.
    Unmarked,
    /// It was, until both factors are issued after `since`. A mark without a time was made by hand, or because of the age.
    Marked {
        /// When an operator marked it.
        since: Option<UnixTime>,
    },
}

/// The password before the present one. A caller whose answer was lost never saw the present one, and may ask again with this.
#[derive(Debug)]
pub struct PreviousPassword {
    /// The encrypted password.
    pub secret: Sealed,
    /// Until when it is accepted as proof.
    pub ends: UnixTime,
}

impl PreviousPassword {
    /// For how many seconds after its replacement it is accepted.
    pub const PATIENCE: i64 = 900;
}

/// A stored second factor.
#[derive(Debug)]
pub struct SecondFactor {
    /// The encrypted base32 secret.
    pub secret: Sealed,
    /// When it was issued. None in rows of other programs: the password's time counts instead.
    pub issued_at: Option<UnixTime>,
}

/// A second factor that waits.
#[derive(Debug)]
pub struct PendingSecondFactor {
    /// The encrypted base32 secret.
    pub secret: Sealed,
    /// When it was issued.
    pub issued_at: UnixTime,
}

impl PendingSecondFactor {
    /// For how many seconds it waits for its first code.
    pub const PATIENCE: u64 = 3600;

    /// When it stops waiting.
    #[must_use]
    pub fn ends(&self) -> UnixTime {
        self.issued_at.after(Age::from_seconds(Self::PATIENCE))
    }

    /// Whether it still waits.
    #[must_use]
    pub fn is_alive(&self, now: UnixTime) -> bool {
        now.since(self.issued_at) <= Age::from_seconds(Self::PATIENCE)
    }
}

/// Counters by which a request, or a token, detects that the account changed since it was read or issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// The version of the password: how many there have been.
    pub password_version: i64,
    /// The version of the second factor: how many there have been, erased ones included.
    pub mfa_version: i64,
    /// How many complete logins and renewal tokens there have been.
    pub login: i64,
    /// How many operator actions, ends of all sessions, and credential replacements other than renewals there have been.
    pub security: i64,
    /// How often all sessions were ended. A session carries the epoch of its login.
    pub session_epoch: i64,
    /// Random bytes that tell this account from an earlier one with the same number. None in a row of another program until its first
    /// complete login.
    pub identity: Option<Identity>,
}

impl Account {
    /// Whether either factor is strictly older than `max_age`, or the account was marked.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime, max_age: Age) -> bool {
        self.would_have_expired(self.password_issued_at, self.second_factor_issued_at(), now, max_age)
    }

    /// Whether the account would have expired if its factors had been issued at these times.
    #[must_use]
    pub fn would_have_expired(&self, password: UnixTime, second_factor: UnixTime, now: UnixTime, max_age: Age) -> bool {
        let older = password.min(second_factor);
        now.since(older) > max_age || self.marked_since(now, max_age).is_some_and(|since| older <= since)
    }

    /// The time after which both factors must be issued, if the account was marked. A mark without a time counts from one second ago; none if
    /// the account is too old anyway.
    #[must_use]
    pub fn marked_since(&self, now: UnixTime, max_age: Age) -> Option<UnixTime> {
        match self.expiry {
            Expiry::Unmarked => None,
            Expiry::Marked { since: Some(since) } => Some(since),
            Expiry::Marked { since: None } => {
                let is_too_old = now.since(self.password_issued_at.min(self.second_factor_issued_at())) > max_age;
                (!is_too_old).then(|| now.plus(-1))
            }
        }
    }

    /// The issue time of a credential that is made `now`: one second later if the account was marked in this very second.
    #[must_use]
    pub fn issue_time(&self, now: UnixTime, max_age: Age) -> UnixTime {
        self.marked_since(now, max_age).map_or(now, |since| now.max(since.plus(1)))
    }

    /// When the second factor in force was issued; the password's time if the row has none.
    #[must_use]
    pub fn second_factor_issued_at(&self) -> UnixTime {
        self.second_factor.as_ref().and_then(|factor| factor.issued_at).unwrap_or(self.password_issued_at)
    }

    /// Whether its status is what the functions wrote.
    #[must_use]
    pub fn is_intact(&self, keyring: &Keyring) -> bool {
        keyring.verifies_status(&self.username, &self.status.to_text(self.id), self.status_mac.as_ref())
    }

    /// The MAC of another status of this account.
    #[must_use]
    pub fn mac_of(&self, status: AccountStatus, keyring: &Keyring) -> RowMac {
        status.mac_for(self.id, &self.username, keyring)
    }

    /// Encrypts a secret for a column of this account.
    #[must_use]
    pub fn seal(&self, keyring: &Keyring, clear: &str, column: SecretColumn, now: UnixTime) -> Sealed {
        keyring.seal(clear, now.unsigned_seconds(), column.of(&self.username))
    }
}

impl AccountStatus {
    /// The status of an account that another program created.
    #[must_use]
    pub const fn of_taken_over() -> Self {
        Self {
            state: State::Active,
            origin: Origin::External,
            admin_intervention: AdminIntervention::Never,
            access: Access::Enabled,
        }
    }

    /// The status of a new account.
    #[must_use]
    pub const fn of_new(origin: Origin, admin_intervention: AdminIntervention) -> Self {
        Self { state: State::Provisional, origin, admin_intervention, access: Access::Enabled }
    }

    /// Whether the operator ever acted on it.
    #[must_use]
    pub fn had_admin_intervention(self) -> bool {
        self.admin_intervention == AdminIntervention::Happened
    }

    /// Whether the operator disabled it.
    #[must_use]
    pub fn is_disabled(self) -> bool {
        self.access == Access::Disabled
    }

    /// The MAC of this status for a new account, which has no number yet.
    #[must_use]
    pub fn mac_for_new(self, username: &str, keyring: &Keyring) -> RowMac {
        self.mac_for(AccountId(0), username, keyring)
    }

    /// The MAC of this status for an account.
    #[must_use]
    pub fn mac_for(self, id: AccountId, username: &str, keyring: &Keyring) -> RowMac {
        keyring.status_mac(username, &self.to_text(id))
    }

    /// The text under the MAC. It has the number of an active account, which sessions carry; a provisional one may have none yet.
    fn to_text(self, id: AccountId) -> String {
        let number = match self.state {
            State::Provisional => 0,
            State::Active => id.0,
        };
        let operator = match self.admin_intervention {
            AdminIntervention::Never => "untouched",
            AdminIntervention::Happened => "touched",
        };
        let access = match self.access {
            Access::Enabled => "enabled",
            Access::Disabled => "disabled",
        };
        format!("{} {} {operator} {access} {number}", self.state.as_str(), self.origin.as_str())
    }
}

impl State {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Active => "active",
        }
    }
}

impl Origin {
    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SelfRegistered => "generation",
            Self::ChosenPassword => "creation",
            Self::External => "external",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
