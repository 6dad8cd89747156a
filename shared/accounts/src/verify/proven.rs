//! Credentials that were checked and right. The store completes no login without one of these.

use crate::types::account::{Account, AccountStatus, Expiry, State};
use crate::types::settings::Settings;
use crate::types::time::{Age, UnixTime};
use crate::verify::credentials::{RightCode, RightPassword};
use cofrap_crypto::{KeyId, Keyring, RowMac, Sealed, SecretColumn, TotpStep};

/// A login with right credentials.
pub(crate) enum Proven<'a> {
    InTime(ProvenLogin<'a>),
    /// A factor is too old, or the account is marked as expired.
    TooLate(ProvenLogin<'a>),
}

/// The right credentials of a login, and what the login changes. Only `verify` makes one.
#[derive(Debug)]
pub struct ProvenLogin<'a> {
    account: &'a Account,
    step: Option<TotpStep>,
    password: Option<Sealed>,
    second_factor: Option<Sealed>,
    promotes_pending: bool,
    second_factor_issued_at: UnixTime,
    marked_since: Option<UnixTime>,
    status: AccountStatus,
    key: KeyId,
    status_mac: RowMac,
    used_counter: Option<i64>,
}

impl<'a> Proven<'a> {
    /// From a right password, and a right code if one was required.
    pub(crate) fn of(
        keyring: &Keyring,
        account: &'a Account,
        password: RightPassword,
        code: Option<RightCode>,
        now: UnixTime,
        settings: &Settings,
    ) -> Self {
        let max_age = settings.password_max_age;
        let step = code.as_ref().map(|code| code.step);
        let promotes_pending = code.as_ref().is_some_and(|code| code.is_pending);
        let pending_issued_at = account.pending.as_ref().filter(|_| promotes_pending).map(|pending| pending.issued_at);
        let second_factor_issued_at = pending_issued_at.unwrap_or_else(|| account.second_factor_issued_at());
        let has_expired = account.would_have_expired(account.password_issued_at, second_factor_issued_at, now, max_age);
        let is_too_late = password.must_change || has_expired;
        // A login that is too late is not complete: a provisional account stays provisional.
        let state = if is_too_late { account.status.state } else { State::Active };
        let status = AccountStatus { state, ..account.status };
        let login = ProvenLogin {
            account,
            step,
            password: password.resealed,
            second_factor: code.and_then(|code| {
                let opened = code.second_factor;
                let is_stored_so = opened.is_current && !code.is_pending;
                (!is_stored_so).then(|| account.seal(keyring, &opened.clear, SecretColumn::SecondFactor, now))
            }),
            promotes_pending,
            second_factor_issued_at,
            marked_since: account.marked_since(now, max_age).or(password.must_change.then_some(now)),
            status,
            key: keyring.first_id().clone(),
            status_mac: account.mac_of(status, keyring),
            used_counter: None,
        };
        if is_too_late { Self::TooLate(login) } else { Self::InTime(login) }
    }

    /// The same for a login in two steps, where a challenge replaced the password.
    pub(crate) fn by_challenge(self) -> Self {
        let once = |login: ProvenLogin<'a>| ProvenLogin { used_counter: Some(login.account.counters.login), ..login };
        match self {
            Self::InTime(login) => Self::InTime(once(login)),
            Self::TooLate(login) => Self::TooLate(once(login)),
        }
    }
}

impl ProvenLogin<'_> {
    /// The login counter of the challenge, which must not have changed: a challenge completes one login.
    #[must_use]
    pub const fn used_counter(&self) -> Option<i64> {
        self.used_counter
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// Whether the password must be renewed, and whether the second factor must.
    pub(crate) fn due(&self, now: UnixTime, max_age: Age) -> [bool; 2] {
        let is_due = |issued_at: UnixTime| {
            now.since(issued_at) > max_age || self.marked_since.is_some_and(|since| issued_at <= since)
        };
        [self.account.password_issued_at, self.second_factor_issued_at].map(is_due)
    }

    /// Whether the login changes nothing in the account's row but counters. All logins are so except the first one and those after a change.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        let account = self.account;
        self.password.is_none()
            && self.second_factor.is_none()
            && !self.promotes_pending
            && account.status == self.status
            && account.status_mac.as_ref() == Some(&self.status_mac)
            && account.expiry == Expiry::Unmarked
            && account.previous.is_none()
            && account.counters.identity.is_some()
    }

    /// The time step of the code, which is used up; none where no code was required.
    #[must_use]
    pub const fn step(&self) -> Option<TotpStep> {
        self.step
    }

    /// The password to store: encrypted under the first key, with a MAC. None if it is stored so.
    #[must_use]
    pub const fn password(&self) -> Option<&Sealed> {
        self.password.as_ref()
    }

    /// The second factor to store: encrypted under the first key, with a MAC. None if it is stored so.
    #[must_use]
    pub const fn second_factor(&self) -> Option<&Sealed> {
        self.second_factor.as_ref()
    }

    /// Whether the code belongs to the second factor that waited, which is in force from now on.
    #[must_use]
    pub const fn promotes_pending(&self) -> bool {
        self.promotes_pending
    }

    /// When the second factor that is in force after the login was issued.
    #[must_use]
    pub const fn second_factor_issued_at(&self) -> UnixTime {
        self.second_factor_issued_at
    }

    /// The time after which both factors must be issued, if the account is marked as expired.
    #[must_use]
    pub const fn marked_since(&self) -> Option<UnixTime> {
        self.marked_since
    }

    /// The account's status after the login.
    #[must_use]
    pub const fn status(&self) -> AccountStatus {
        self.status
    }

    /// The name of the key behind the MAC of that status.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// The MAC of that status.
    #[must_use]
    pub const fn status_mac(&self) -> &RowMac {
        &self.status_mac
    }
}

/// One right factor, which is no complete login. Made from what `credentials` found right.
#[derive(Debug)]
pub struct ProvenFactor<'a> {
    account: &'a Account,
    step: Option<TotpStep>,
    must_change: bool,
}

impl<'a> ProvenFactor<'a> {
    /// A right password.
    pub(crate) const fn password(account: &'a Account, password: &RightPassword) -> Self {
        Self { account, step: None, must_change: password.must_change }
    }

    /// A right code.
    pub(crate) const fn code(account: &'a Account, code: &RightCode) -> Self {
        Self { account, step: Some(code.step), must_change: false }
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> &Account {
        self.account
    }

    /// The time step of the code, which is used up; none where the factor was the password.
    #[must_use]
    pub const fn step(&self) -> Option<TotpStep> {
        self.step
    }

    /// Whether the password must be changed: the account is marked as expired.
    #[must_use]
    pub const fn must_change(&self) -> bool {
        self.must_change
    }
}
