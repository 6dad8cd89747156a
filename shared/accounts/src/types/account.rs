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
pub(crate) mod tests {
    use super::*;

    const MAX_AGE: Age = Age::from_seconds(100);

    pub(crate) fn account() -> Account {
        Account {
            id: AccountId(1),
            username: "michel.ranu".to_owned(),
            status: AccountStatus::of_new(Origin::SelfRegistered, AdminIntervention::Never),
            status_mac: None,
            password: sealed(),
            password_issued_at: UnixTime::from_seconds(1000),
            previous: None,
            second_factor: None,
            pending: None,
            enrolment_ends: None,
            expiry: Expiry::Unmarked,
            counters: Counters {
                password_version: 1,
                mfa_version: 0,
                login: 0,
                security: 0,
                session_epoch: 0,
                identity: None,
            },
            last_step: None,
            otp_failures: 0,
            last_issuance: None,
        }
    }

    pub(crate) fn sealed() -> Sealed {
        Sealed::from_stored(String::new(), None, None)
    }

    pub(crate) fn second_factor(issued_at: Option<i64>) -> SecondFactor {
        SecondFactor { secret: sealed(), issued_at: issued_at.map(UnixTime::from_seconds) }
    }

    #[test]
    fn an_account_expires_strictly_past_the_maximum_age_of_its_older_factor() {
        let check = |factor, now, expected| {
            let account = Account { second_factor: factor, ..account() };
            assert_eq!(account.has_expired(UnixTime::from_seconds(now), MAX_AGE), expected, "at {now}");
        };
        check(None, 1100, false);
        check(None, 1101, true);
        check(Some(second_factor(None)), 1100, false);
        check(Some(second_factor(None)), 1101, true);
        check(Some(second_factor(Some(900))), 1000, false);
        check(Some(second_factor(Some(900))), 1001, true);
        check(Some(second_factor(Some(1050))), 1101, true);
        check(None, 10, false);
    }

    #[test]
    fn a_mark_holds_until_both_factors_were_issued_after_it() {
        let check = |since, password, factor, expected| {
            let expiry = Expiry::Marked { since };
            let account = Account { expiry, second_factor: Some(second_factor(Some(1000))), ..account() };
            let [password, factor, now] = [password, factor, 1050].map(UnixTime::from_seconds);
            assert_eq!(account.would_have_expired(password, factor, now, MAX_AGE), expected, "{password:?} {factor:?}");
        };
        let by_the_operator = Some(UnixTime::from_seconds(1040));
        check(by_the_operator, 1000, 1000, true);
        check(by_the_operator, 1050, 1000, true);
        check(by_the_operator, 1050, 1040, true);
        check(by_the_operator, 1041, 1050, false);
        // Made by hand: met now, so it is as old as the second before.
        check(None, 1000, 1000, true);
        check(None, 1050, 1000, true);
        check(None, 1050, 1050, false);
    }

    #[test]
    fn a_mark_that_only_says_what_the_age_says_ends_with_it() {
        let expiry = Expiry::Marked { since: None };
        let account = Account { expiry, second_factor: Some(second_factor(Some(1150))), ..account() };
        let now = UnixTime::from_seconds(1200);
        assert!(account.has_expired(now, MAX_AGE));
        assert!(!account.would_have_expired(now, UnixTime::from_seconds(1150), now, MAX_AGE));
    }

    #[test]
    fn a_pending_second_factor_waits_for_an_hour() {
        let pending = PendingSecondFactor { secret: sealed(), issued_at: UnixTime::from_seconds(1000) };
        assert!(pending.is_alive(UnixTime::from_seconds(4600)) && !pending.is_alive(UnixTime::from_seconds(4601)));
    }
}
