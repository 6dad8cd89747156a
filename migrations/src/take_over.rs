//! Taking over what the functions before left: accounts of the first generation's table `users`, and secrets in clear.
//!
//! First a plan is made from what the tables hold, whatever columns they have by now; a dry run ends there. Then the plan is
//! carried out in one short transaction. What was taken over once is not looked at again, so doing it twice changes nothing more.

mod findings;
mod kept;
mod tables;
mod writer;

pub use findings::{Finding, Remark, TakenOver, What};

use crate::refused;
use anyhow::{Context, Result, bail};
use cofrap_accounts::{PasswordStorage, UnixTime, Username, sameness_key};
use cofrap_crypto::{Keyring, PasswordHash, Sealed, SecretColumn, TotpSecret};
use kept::{Kept, LONGEST_SEALED, opens_none};
use rand_core::CryptoRng;
use std::collections::HashSet;
use tables::{AccountRow, FirstGenerationRow, HistoryRow, Tables};
use tokio_postgres::Client;
use writer::{Imported, Writer};

/// What a take-over under wrong keys is told.
pub const WRONG_KEYS: &str = "variable encryption_key: no key of the list opens the stored secrets: give the key of the functions \
                              before as SPIN_VARIABLE_ENCRYPTION_KEY";

/// How far clocks may be apart, in seconds: what was born later than that was not.
const CLOCK_SKEW: i64 = 24 * 3600;

/// Who must renew because of the take-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// Every account of the first generation, at its first complete login.
    Imported,
    /// Only who would anyway.
    Nobody,
}

/// What would be done. Nothing is written, and the tables may have any of their shapes.
///
/// # Errors
/// When the database refuses a statement, or a table has not the columns that it should have.
pub async fn plan_take_over(client: &Client, keyring: &Keyring, now: UnixTime, expire: Expire) -> Result<TakenOver> {
    let tables = Tables::read(client, latest_birth(now)).await?;
    let plan = Plan::of(&tables, keyring, now);
    let mut report = plan.report();
    if expire == Expire::Imported {
        let taken_over = plan.imports.iter().filter(|import| !import.must_change).count();
        report.expired = writer::count_expirable(client).await? + taken_over as u64;
    }
    if has_registered_keys(client, keyring).await? {
        report.remarks.retain(|remark| *remark != Remark::WrongKeys);
    }
    Ok(report)
}

/// Whether the functions know rows of any key: then these say which keys are the right ones, and all must be in the list.
async fn has_registered_keys(client: &Client, keyring: &Keyring) -> Result<bool> {
    let is_there = "SELECT to_regclass('encryption_keys') IS NOT NULL";
    if !client.query_one(is_there, &[]).await.map_err(refused)?.get::<_, bool>(0) {
        return Ok(false);
    }
    let registered = client.query("SELECT id FROM encryption_keys", &[]).await.map_err(refused)?;
    if registered.iter().any(|row| !keyring.has(row.get(0))) {
        bail!("{WRONG_KEYS}");
    }
    Ok(!registered.is_empty())
}

/// Protects what is in clear, and gives the accounts of the first generation rows in `users_v2`; their own table is only read.
///
/// # Errors
/// As [`plan_take_over`], and when stored tokens show that the keys are the wrong ones; nothing was written then.
pub async fn take_over(
    client: &mut Client,
    keyring: &Keyring,
    rng: &mut impl CryptoRng,
    now: UnixTime,
    expire: Expire,
) -> Result<TakenOver> {
    crate::lock(client).await?;
    let taken_over = carry_out(client, keyring, rng, now, expire).await;
    crate::unlock(client, taken_over).await
}

async fn carry_out(
    client: &mut Client,
    keyring: &Keyring,
    rng: &mut impl CryptoRng,
    now: UnixTime,
    expire: Expire,
) -> Result<TakenOver> {
    // A number that is taken is no name that is taken.
    crate::sequences::catch_up(client).await?;
    let tables = Tables::read(client, latest_birth(now)).await?;
    let plan = Plan::of(&tables, keyring, now);
    let mut report = plan.report();
    if !has_registered_keys(client, keyring).await? && report.has(Remark::WrongKeys) {
        bail!("{WRONG_KEYS}");
    }
    // Hashing takes a while: nothing is locked yet.
    let protected: Vec<_> = plan.protections.iter().map(|found| (found, found.protect(keyring, rng, now))).collect();
    let imported: Vec<Imported<'_>> =
        plan.imports.iter().map(|import| (import, import.protect(keyring, rng, now))).collect();

    if !plan.protections.is_empty() || !plan.imports.is_empty() {
        // Everything is sealed and bound under the first key. By itself: functions lock it after an account's row.
        let insert = "INSERT INTO encryption_keys (id, registered_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&keyring.first_id().as_str(), &now.seconds()]).await.map_err(refused)?;
    }
    let transaction = client.transaction().await.map_err(refused)?;
    let writer = Writer { transaction: &transaction, keyring, now };
    writer.protect(&protected).await?;
    for id in writer.import(&imported).await? {
        report.findings.retain(|finding| (finding.table, finding.id) != ("users", id));
        report.findings.push(Finding { table: "users", id, what: What::Duplicate });
    }
    if expire == Expire::Imported {
        report.expired = writer.expire().await?;
    }
    transaction.commit().await.map_err(refused).context("cannot end the take-over")?;
    Ok(report)
}

/// What was born later than this was not: clocks may be apart that much.
fn latest_birth(now: UnixTime) -> UnixTime {
    UnixTime::from_seconds(now.seconds() + CLOCK_SKEW)
}

/// What is to be done.
#[derive(Default)]
struct Plan<'a> {
    protections: Vec<Protection<'a>>,
    imports: Vec<Import<'a>>,
    findings: Vec<Finding>,
    before: u64,
    remarks: Vec<Remark>,
}

/// A secret of the second generation that is kept in clear.
struct Protection<'a> {
    slot: SecretColumn,
    id: i64,
    owner: &'a str,
    old: &'a str,
    kept: Kept<'a>,
    /// Whether the account is marked as expired with it.
    must_change: bool,
}

/// An account of the first generation.
struct Import<'a> {
    id: i64,
    username: &'a str,
    /// None where another name differs only in case.
    sameness_key: Option<String>,
    password: Kept<'a>,
    second_factor: Option<Kept<'a>>,
    gendate: i64,
    expired: bool,
    must_change: bool,
}

impl Protection<'_> {
    fn protect(&self, keyring: &Keyring, rng: &mut impl CryptoRng, now: UnixTime) -> Sealed {
        let place = self.slot.of(self.owner);
        match self.slot {
            SecretColumn::Password | SecretColumn::PastPassword => {
                self.kept.protect_password(PasswordStorage::Sealed, keyring, rng, now, place)
            }
            SecretColumn::SecondFactor | SecretColumn::PendingSecondFactor => self.kept.protect(keyring, now, place),
        }
    }
}

impl Import<'_> {
    fn protect(&self, keyring: &Keyring, rng: &mut impl CryptoRng, now: UnixTime) -> (Sealed, Option<Sealed>) {
        let place = SecretColumn::Password.of(self.username);
        let password = self.password.protect_password(PasswordStorage::Hashed, keyring, rng, now, place);
        let second_factor = self.second_factor.as_ref();
        let second_factor =
            second_factor.map(|kept| kept.protect(keyring, now, SecretColumn::SecondFactor.of(self.username)));
        (password, second_factor)
    }
}

impl<'a> Plan<'a> {
    fn of(tables: &'a Tables, keyring: &Keyring, now: UnixTime) -> Self {
        let mut plan = Self::default();
        plan.remark(Remark::ForeignUsers, tables.has_foreign_users);
        plan.remark(Remark::Hashes, tables.has_hashes);
        let mut keys = tables.taken_keys.clone();
        for account in &tables.accounts {
            plan.judge_name_of(account, &mut keys);
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
        let tokens = tables.first_generation.iter().flat_map(|row| [row.password.as_deref(), row.mfa.as_deref()]);
        plan.remark(Remark::UnreadableSource, opens_none(keyring, tokens.flatten()));

        plan.before = tables.before;
        for id in &tables.renamed {
            plan.say("users", *id, What::OtherName);
        }
        let mut names = tables.taken_names.iter().map(String::as_str).collect();
        for row in &tables.first_generation {
            plan.import(row, &mut names, &mut keys, keyring, now);
        }
        plan
    }

    fn report(&self) -> TakenOver {
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
        if account.gendate > latest_birth(now).seconds() {
            self.say(table, id, What::FutureBirth);
        }
        if account.password_key.is_none() {
            let old = account.password.as_str();
            let kept = Kept::password(old, keyring);
            self.judge_password(table, id, &kept);
            let must_change = kept.is_long();
            if must_change {
                self.say(table, id, What::LongPassword);
            }
            if must_change || kept.differs_from(old) {
                self.protections.push(Protection { slot: SecretColumn::Password, id, owner, old, kept, must_change });
            }
        }
        if let Some(old) = account.mfa.as_deref().filter(|mfa| !mfa.is_empty()) {
            let kept = Kept::secret(old, keyring);
            self.judge_second_factor(table, id, &kept);
            // One that is too long stays as it is: it is nowhere else.
            let fits = kept.clear().is_some_and(|clear| clear.len() <= LONGEST_SEALED);
            if account.mfa_key.is_none() && fits && kept.differs_from(old) {
                self.protections.push(Protection {
                    slot: SecretColumn::SecondFactor,
                    id,
                    owner,
                    old,
                    kept,
                    must_change: false,
                });
            }
        }
    }

    fn protect_history(&mut self, past: &'a HistoryRow, keyring: &Keyring) {
        let (table, id, old) = ("password_history_v2", past.id, past.password.as_str());
        let kept = Kept::password(old, keyring);
        match kept {
            Kept::InClear(_) => {
                let owner = past.owner.as_deref().unwrap_or_default();
                self.say(table, id, What::PasswordInClear);
                self.protections.push(Protection {
                    slot: SecretColumn::PastPassword,
                    id,
                    owner,
                    old,
                    kept,
                    must_change: false,
                });
            }
            Kept::Unreadable(_) => self.say(table, id, What::UnreadablePassword),
            Kept::Sealed(_) | Kept::Hashed(_) => {}
        }
    }

    fn import(
        &mut self,
        row: &'a FirstGenerationRow,
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
        let sameness_key = self.judge_name(table, id, name, keys);
        let password = Kept::password(row.password.as_deref().unwrap_or_default(), keyring);
        self.judge_password(table, id, &password);
        let is_cut = matches!(&password, Kept::InClear(clear) if clear.len() > PasswordHash::MAX_BYTES);
        let must_change = is_cut || password.is_long();
        if must_change {
            self.say(table, id, What::LongPassword);
        }
        let second_factor = row.mfa.as_deref().filter(|mfa| !mfa.is_empty()).map(|mfa| Kept::secret(mfa, keyring));
        match &second_factor {
            Some(kept) => self.judge_second_factor(table, id, kept),
            None => self.say(table, id, What::NotEnrolled),
        }
        let gendate = match row.gendate {
            Some(at) if at > latest_birth(now).seconds() => {
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

    /// A name that has its key shares it with no other.
    fn judge_name_of(&mut self, account: &AccountRow, keys: &mut HashSet<String>) {
        let mut others = HashSet::new();
        let keys = if account.username_key.is_some() { &mut others } else { keys };
        self.judge_name("users_v2", account.id, &account.username, keys);
    }

    /// The name's key; none if another name has it.
    fn judge_name(&mut self, table: &'static str, id: i64, name: &str, keys: &mut HashSet<String>) -> Option<String> {
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

    fn judge_password(&mut self, table: &'static str, id: i64, kept: &Kept<'_>) {
        match kept {
            Kept::Sealed(_) => {}
            Kept::Hashed(hash) => {
                self.remark(Remark::Hashes, true);
                if PasswordHash::parse(hash).is_ok_and(|hash| hash.cost() > PasswordHash::COST) {
                    self.say(table, id, What::CostlyHash);
                }
            }
            Kept::InClear(_) => self.say(table, id, What::PasswordInClear),
            Kept::Unreadable("") => self.say(table, id, What::NoPassword),
            Kept::Unreadable(_) => self.say(table, id, What::UnreadablePassword),
        }
    }

    fn judge_second_factor(&mut self, table: &'static str, id: i64, kept: &Kept<'_>) {
        if matches!(kept, Kept::InClear(_)) {
            self.say(table, id, What::SecondFactorInClear);
        }
        let can_be_read = |clear: &str| clear.len() <= LONGEST_SEALED && TotpSecret::from_base32(clear).is_ok();
        if !kept.clear().is_some_and(can_be_read) {
            self.say(table, id, What::UnreadableSecondFactor);
        }
    }
}
