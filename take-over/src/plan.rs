//! The plan of a take-over: what is encrypted or hashed, who gets a row, and what there is to say about each row.

use crate::findings::{Finding, Remark, TakenOver, What};
use crate::stored_secret::{LONGEST_SEALED, StoredSecret, opens_none};
use crate::tables::{AccountRow, HistoryRow, Tables, VersionOneRow};
use cofrap_accounts::{PasswordStorage, UnixTime, Username, sameness_key};
use cofrap_crypto::{Keyring, PasswordHash, Sealed, SecretColumn, TotpSecret};
use rand_core::CryptoRng;
use std::collections::HashSet;

/// By how many seconds clocks may differ.
const CLOCK_SKEW: i64 = 24 * 3600;

/// The latest issue time that a row may have, since clocks may differ: a later one is wrong.
pub(crate) fn latest_plausible(now: UnixTime) -> UnixTime {
    UnixTime::from_seconds(now.seconds() + CLOCK_SKEW)
}

/// What a take-over does.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    pub(crate) protections: Vec<Protection<'a>>,
    pub(crate) imports: Vec<Import<'a>>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) before: u64,
    pub(crate) remarks: Vec<Remark>,
}

/// A secret in `users_v2` or its history that is stored in clear text.
pub(crate) struct Protection<'a> {
    pub(crate) column: SecretColumn,
    pub(crate) id: i64,
    pub(crate) owner: &'a str,
    pub(crate) old: &'a str,
    pub(crate) stored: StoredSecret<'a>,
    /// Whether the account is marked as expired with it.
    pub(crate) must_change: bool,
}

/// An account of API version 1.
pub(crate) struct Import<'a> {
    pub(crate) id: i64,
    pub(crate) username: &'a str,
    /// None if another name has the same.
    pub(crate) sameness_key: Option<String>,
    pub(crate) password: StoredSecret<'a>,
    pub(crate) second_factor: Option<StoredSecret<'a>>,
    pub(crate) gendate: i64,
    pub(crate) expired: bool,
    pub(crate) must_change: bool,
}

impl Protection<'_> {
    pub(crate) fn protect(&self, keyring: &Keyring, rng: &mut impl CryptoRng, now: UnixTime) -> Sealed {
        let context = self.column.of(self.owner);
        match self.column {
            SecretColumn::Password | SecretColumn::PastPassword => {
                self.stored.protect_password(PasswordStorage::Sealed, keyring, rng, now, context)
            }
            SecretColumn::SecondFactor | SecretColumn::PendingSecondFactor => {
                self.stored.protect(keyring, now, context)
            }
        }
    }
}

impl Import<'_> {
    pub(crate) fn protect(
        &self,
        keyring: &Keyring,
        rng: &mut impl CryptoRng,
        now: UnixTime,
    ) -> (Sealed, Option<Sealed>) {
        let context = SecretColumn::Password.of(self.username);
        let password = self.password.protect_password(PasswordStorage::Hashed, keyring, rng, now, context);
        let second_factor = self.second_factor.as_ref();
        let second_factor =
            second_factor.map(|stored| stored.protect(keyring, now, SecretColumn::SecondFactor.of(self.username)));
        (password, second_factor)
    }
}

impl<'a> Plan<'a> {
    pub(crate) fn of(tables: &'a Tables, keyring: &Keyring, now: UnixTime) -> Self {
        let mut plan = Self::default();
        plan.remark(Remark::ForeignUsers, tables.has_foreign_users);
        plan.remark(Remark::Hashes, tables.has_hashes);
        let mut keys = tables.taken_keys.clone();
        for account in &tables.accounts {
            plan.check_name_of(account, &mut keys);
            plan.protect_account(account, keyring, now);
        }
        for past in &tables.history {
            plan.protect_history(past, keyring);
        }
        let tokens = tables.accounts.iter().flat_map(|account| {
            let password = Some(account.password.as_str()).filter(|_| account.password_key.is_none());
            [password, account.mfa.as_deref().filter(|_| account.mfa_key.is_none())]
        });
        plan.remark(Remark::WrongKeys, opens_none(keyring, tokens.flatten()));
        let tokens = tables.version_one.iter().flat_map(|row| [row.password.as_deref(), row.mfa.as_deref()]);
        plan.remark(Remark::UnreadableSource, opens_none(keyring, tokens.flatten()));

        plan.before = tables.before;
        for id in &tables.renamed {
            plan.say("users", *id, What::OtherName);
        }
        let mut names = tables.taken_names.iter().map(String::as_str).collect();
        for row in &tables.version_one {
            plan.import(row, &mut names, &mut keys, keyring, now);
        }
        plan
    }

    pub(crate) fn report(&self) -> TakenOver {
        TakenOver { findings: self.findings.clone(), before: self.before, expired: 0, remarks: self.remarks.clone() }
    }

    fn remark(&mut self, remark: Remark, holds: bool) {
        if holds && !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    fn say(&mut self, table: &'static str, id: i64, what: What) {
        self.findings.push(Finding { table, id, what });
    }

    fn protect_account(&mut self, account: &'a AccountRow, keyring: &Keyring, now: UnixTime) {
        let (table, id, owner) = ("users_v2", account.id, account.username.as_str());
        if account.gendate > latest_plausible(now).seconds() {
            self.say(table, id, What::FutureBirth);
        }
        if account.password_key.is_none() {
            let old = account.password.as_str();
            let stored = StoredSecret::password(old, keyring);
            self.report_password(table, id, &stored);
            let must_change = stored.is_long();
            if must_change {
                self.say(table, id, What::LongPassword);
            }
            if must_change || stored.differs_from(old) {
                self.protections.push(Protection {
                    column: SecretColumn::Password,
                    id,
                    owner,
                    old,
                    stored,
                    must_change,
                });
            }
        }
        if let Some(old) = account.mfa.as_deref().filter(|mfa| !mfa.is_empty()) {
            let stored = StoredSecret::secret(old, keyring);
            self.report_second_factor(table, id, &stored);
            // One that is too long stays: nothing else holds it.
            let fits = stored.clear().is_some_and(|clear| clear.len() <= LONGEST_SEALED);
            if account.mfa_key.is_none() && fits && stored.differs_from(old) {
                self.protections.push(Protection {
                    column: SecretColumn::SecondFactor,
                    id,
                    owner,
                    old,
                    stored,
                    must_change: false,
                });
            }
        }
    }

    fn protect_history(&mut self, past: &'a HistoryRow, keyring: &Keyring) {
        let (table, id, old) = ("password_history_v2", past.id, past.password.as_str());
        let stored = StoredSecret::password(old, keyring);
        match stored {
            StoredSecret::InClear(_) => {
                let owner = past.owner.as_deref().unwrap_or_default();
                self.say(table, id, What::PasswordInClear);
                self.protections.push(Protection {
                    column: SecretColumn::PastPassword,
                    id,
                    owner,
                    old,
                    stored,
                    must_change: false,
                });
            }
            StoredSecret::Unreadable(_) => self.say(table, id, What::UnreadablePassword),
            StoredSecret::Sealed(_) | StoredSecret::Hashed(_) => {}
        }
    }

    fn import(
        &mut self,
        row: &'a VersionOneRow,
        names: &mut HashSet<&'a str>,
        keys: &mut HashSet<String>,
        keyring: &Keyring,
        now: UnixTime,
    ) {
        let (table, id) = ("users", row.id);
        let name = row.username.as_deref().unwrap_or_default();
        if name.is_empty() {
            return self.say(table, id, What::NoName);
        }
        if name.chars().count() > Username::MAX_LENGTH {
            return self.say(table, id, What::LongName);
        }
        if !names.insert(name) {
            return self.say(table, id, What::Duplicate);
        }
        self.say(table, id, What::TakenOver);
        let sameness_key = self.check_name(table, id, name, keys);
        let password = StoredSecret::password(row.password.as_deref().unwrap_or_default(), keyring);
        self.report_password(table, id, &password);
        let is_cut = matches!(&password, StoredSecret::InClear(clear) if clear.len() > PasswordHash::MAX_BYTES);
        let must_change = is_cut || password.is_long();
        if must_change {
            self.say(table, id, What::LongPassword);
        }
        let second_factor =
            row.mfa.as_deref().filter(|mfa| !mfa.is_empty()).map(|mfa| StoredSecret::secret(mfa, keyring));
        match &second_factor {
            Some(stored) => self.report_second_factor(table, id, stored),
            None => self.say(table, id, What::NotEnrolled),
        }
        let gendate = match row.gendate {
            Some(at) if at > latest_plausible(now).seconds() => {
                self.say(table, id, What::FutureBirth);
                0
            }
            Some(at) => at.clamp(0, now.seconds()),
            None => {
                self.say(table, id, What::NoBirth);
                0
            }
        };
        let expired = row.expired.unwrap_or(false);
        self.imports.push(Import {
            id,
            username: name,
            sameness_key,
            password,
            second_factor,
            gendate,
            expired,
            must_change,
        });
    }

    /// Checks the name of an account. A key that is stored is unique already.
    fn check_name_of(&mut self, account: &AccountRow, keys: &mut HashSet<String>) {
        let mut others = HashSet::new();
        let keys = if account.username_key.is_some() { &mut others } else { keys };
        self.check_name("users_v2", account.id, &account.username, keys);
    }

    /// Checks a name, and returns its sameness key; none if another name has the same.
    fn check_name(&mut self, table: &'static str, id: i64, name: &str, keys: &mut HashSet<String>) -> Option<String> {
        let key = sameness_key(name);
        let sameness_key = keys.insert(key.clone()).then_some(key);
        if sameness_key.is_none() {
            self.say(table, id, What::SameNameButForCase);
        }
        if Username::try_from(name.to_owned()).is_err() {
            self.say(table, id, What::UnreachableName);
        }
        sameness_key
    }

    fn report_password(&mut self, table: &'static str, id: i64, stored: &StoredSecret<'_>) {
        match stored {
            StoredSecret::Sealed(_) => {}
            StoredSecret::Hashed(hash) => {
                self.remark(Remark::Hashes, true);
                if PasswordHash::parse(hash).is_ok_and(|hash| hash.cost() > PasswordHash::COST) {
                    self.say(table, id, What::CostlyHash);
                }
            }
            StoredSecret::InClear(_) => self.say(table, id, What::PasswordInClear),
            StoredSecret::Unreadable("") => self.say(table, id, What::NoPassword),
            StoredSecret::Unreadable(_) => self.say(table, id, What::UnreadablePassword),
        }
    }

    fn report_second_factor(&mut self, table: &'static str, id: i64, stored: &StoredSecret<'_>) {
        if matches!(stored, StoredSecret::InClear(_)) {
            self.say(table, id, What::SecondFactorInClear);
        }
        let can_be_read = |clear: &str| clear.len() <= LONGEST_SEALED && TotpSecret::from_base32(clear).is_ok();
        if !stored.clear().is_some_and(can_be_read) {
            self.say(table, id, What::UnreadableSecondFactor);
        }
    }
}
