//! Taking over what the functions before left: accounts of the first generation's table `users`, and secrets in clear.
//!
//! First a plan is made from what the tables hold, whatever columns they have by now; a dry run ends there. Then the plan is
//! carried out in one short transaction. What was taken over once is not looked at again, so doing it twice changes nothing more.

mod findings;
mod kept;

pub use findings::{Finding, Remark, TakenOver, What};

use crate::refused;
use anyhow::{Context, Result, anyhow, bail};
use cofrap_accounts::{AccountId, Scheme, Standing, UnixTime, Username, case_key};
use cofrap_crypto::{Binding, KeyId, Keyring, PasswordHash, Sealed, Slot, TotpSecret};
use kept::{Kept, LONGEST_SEALED, opens_none};
use rand_core::CryptoRng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Transaction};

/// The columns by which the first generation's table is told from another program's `users`.
const FIRST_GENERATION: [&str; 6] = ["expired", "gendate", "id", "mfa", "password", "username"];

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
    let tables = Tables::read(client).await?;
    let plan = Plan::of(&tables, keyring, now);
    let expirable = |account: &&AccountRow| {
        let has_second_factor = account.mfa.as_deref().is_some_and(|mfa| !mfa.is_empty());
        let has_imported =
            account.password_generation == Some(0) || account.mfa_generation == Some(0) && has_second_factor;
        account.imported_from.is_some() && has_imported && account.expired_since.is_none()
    };
    let before = tables.accounts.iter().filter(expirable).count();
    let taken_over = plan.imports.iter().filter(|import| !import.must_renew).count();
    let mut report = plan.report();
    if expire == Expire::Imported {
        report.expired = (before + taken_over) as u64;
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
    let tables = Tables::read(client).await?;
    let plan = Plan::of(&tables, keyring, now);
    let mut report = plan.report();
    if !has_registered_keys(client, keyring).await? && report.has(Remark::WrongKeys) {
        bail!("{WRONG_KEYS}");
    }
    // Hashing takes a while: nothing is locked yet.
    let protected: Vec<_> = plan.protections.iter().map(|found| found.protect(keyring, rng, now)).collect();
    let imported: Vec<_> = plan.imports.iter().map(|import| import.protect(keyring, rng, now)).collect();

    if !plan.protections.is_empty() || !plan.imports.is_empty() {
        // Everything is sealed and bound under the first key. By itself: functions lock it after an account's row.
        let insert = "INSERT INTO encryption_keys (id, registered_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&keyring.first_id().as_str(), &now.seconds()]).await.map_err(refused)?;
    }
    let transaction = client.transaction().await.map_err(refused)?;
    let writer = Writer { transaction: &transaction, keyring, now };
    for (place, secret) in plan.protections.iter().zip(&protected) {
        writer.protect(place, secret).await?;
    }
    for (import, (password, second_factor)) in plan.imports.iter().zip(&imported) {
        let has_come = writer.import(import, password, second_factor.as_ref()).await;
        if !has_come.with_context(|| format!("cannot take over users:{}", import.id))? {
            report.findings.retain(|finding| (finding.table, finding.id) != ("users", import.id));
            report.findings.push(Finding { table: "users", id: import.id, what: What::Duplicate });
        }
    }
    if expire == Expire::Imported {
        report.expired = writer.expire().await?;
    }
    transaction.commit().await.map_err(refused).context("cannot end the take-over")?;
    Ok(report)
}

/// A row of `users`.
#[derive(Deserialize)]
struct FirstGenerationRow {
    id: i64,
    username: Option<String>,
    password: Option<String>,
    mfa: Option<String>,
    gendate: Option<i64>,
    expired: Option<bool>,
}

/// A row of `users_v2`, as much of it as there is by now.
#[derive(Deserialize)]
struct AccountRow {
    id: i64,
    username: String,
    password: String,
    mfa: Option<String>,
    gendate: i64,
    password_key: Option<String>,
    mfa_key: Option<String>,
    username_key: Option<String>,
    imported_from: Option<i64>,
    password_generation: Option<i64>,
    mfa_generation: Option<i64>,
    expired_since: Option<i64>,
}

/// A row of `password_history_v2`.
#[derive(Deserialize)]
struct HistoryRow {
    id: i64,
    user_id: Option<i64>,
    password: String,
    password_key: Option<String>,
}

/// What the tables hold.
#[derive(Default)]
struct Tables {
    first_generation: Vec<FirstGenerationRow>,
    accounts: Vec<AccountRow>,
    history: Vec<HistoryRow>,
    has_foreign_users: bool,
}

impl Tables {
    async fn read(client: &Client) -> Result<Self> {
        let columns = "SELECT attname::text FROM pg_attribute
                       WHERE attrelid = to_regclass('users') AND attnum > 0 AND NOT attisdropped";
        let columns = client.query(columns, &[]).await.map_err(refused)?;
        let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
        let is_ours = FIRST_GENERATION.iter().all(|name| columns.iter().any(|column| column == name));
        Ok(Self {
            first_generation: if is_ours { rows(client, "users").await? } else { Vec::new() },
            accounts: rows(client, "users_v2").await?,
            history: rows(client, "password_history_v2").await?,
            has_foreign_users: !is_ours && !columns.is_empty(),
        })
    }
}

/// Every row of a table, by its number; none if there is no such table.
async fn rows<T: DeserializeOwned>(client: &Client, table: &'static str) -> Result<Vec<T>> {
    let exists = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await.map_err(refused)?;
    if !exists.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query(&format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY id"), &[]).await;
    let rows = rows.map_err(refused).with_context(|| format!("cannot read {table}"))?;
    rows.into_iter()
        .map(|row| {
            let row: Value = serde_json::from_str(row.try_get(0)?)?;
            let id = row["id"].to_string();
            // The reason would show what is stored.
            serde_json::from_value(row)
                .map_err(|_| anyhow!("{table}:{id} has not the types of its generation's columns"))
        })
        .collect()
}

/// What is to be done.
#[derive(Default)]
struct Plan<'a> {
    protections: Vec<Protection<'a>>,
    imports: Vec<Import<'a>>,
    findings: Vec<Finding>,
    before: usize,
    remarks: Vec<Remark>,
}

/// A secret of the second generation that is kept in clear.
struct Protection<'a> {
    slot: Slot,
    id: i64,
    owner: &'a str,
    old: &'a str,
    kept: Kept<'a>,
    /// Whether the account is marked as expired with it.
    must_renew: bool,
}

/// An account of the first generation.
struct Import<'a> {
    id: i64,
    username: &'a str,
    /// None where another name differs only in case.
    case_key: Option<String>,
    password: Kept<'a>,
    second_factor: Option<Kept<'a>>,
    gendate: i64,
    expired: bool,
    must_renew: bool,
}

impl Protection<'_> {
    fn protect(&self, keyring: &Keyring, rng: &mut impl CryptoRng, now: UnixTime) -> Sealed {
        let place = self.slot.of(self.owner);
        match self.slot {
            Slot::Password | Slot::PastPassword => self.kept.protect_password(Scheme::Sealed, keyring, rng, now, place),
            Slot::SecondFactor | Slot::PendingSecondFactor => self.kept.protect(keyring, now, place),
        }
    }
}

impl Import<'_> {
    fn protect(&self, keyring: &Keyring, rng: &mut impl CryptoRng, now: UnixTime) -> (Sealed, Option<Sealed>) {
        let place = Slot::Password.of(self.username);
        let password = self.password.protect_password(Scheme::Hashed, keyring, rng, now, place);
        let second_factor = self.second_factor.as_ref();
        let second_factor = second_factor.map(|kept| kept.protect(keyring, now, Slot::SecondFactor.of(self.username)));
        (password, second_factor)
    }
}

impl<'a> Plan<'a> {
    fn of(tables: &'a Tables, keyring: &Keyring, now: UnixTime) -> Self {
        let mut plan = Self::default();
        plan.remark(Remark::ForeignUsers, tables.has_foreign_users);
        let mut keys: HashSet<_> = tables.accounts.iter().filter_map(|account| account.username_key.clone()).collect();
        for account in &tables.accounts {
            if let Some(key) = &account.username_key {
                keys.remove(key);
            }
            plan.judge_name("users_v2", account.id, &account.username, &mut keys);
            plan.protect_account(account, keyring, now);
        }
        let owners = tables.accounts.iter().map(|account| (account.id, account.username.as_str())).collect();
        for past in &tables.history {
            plan.protect_history(past, &owners, keyring);
        }
        let tokens = tables.accounts.iter().flat_map(|account| {
            let password = Some(account.password.as_str()).filter(|_| account.password_key.is_none());
            [password, account.mfa.as_deref().filter(|_| account.mfa_key.is_none())]
        });
        plan.remark(Remark::WrongKeys, opens_none(keyring, tokens.flatten()));
        let tokens = tables.first_generation.iter().flat_map(|row| [row.password.as_deref(), row.mfa.as_deref()]);
        plan.remark(Remark::UnreadableSource, opens_none(keyring, tokens.flatten()));

        let mut names: HashSet<_> = tables.accounts.iter().map(|account| account.username.as_str()).collect();
        let imported: HashMap<_, _> = tables
            .accounts
            .iter()
            .filter_map(|account| Some((account.imported_from?, account.username.as_str())))
            .collect();
        for row in &tables.first_generation {
            if let Some(name) = imported.get(&row.id) {
                plan.before += 1;
                if row.username.as_deref() != Some(name) {
                    plan.say("users", row.id, What::OtherName);
                }
            } else {
                plan.import(row, &mut names, &mut keys, keyring, now);
            }
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
        if account.gendate > now.seconds() + CLOCK_SKEW {
            self.say(table, id, What::FutureBirth);
        }
        if account.password_key.is_none() {
            let old = account.password.as_str();
            let kept = Kept::password(old, keyring);
            self.judge_password(table, id, &kept);
            let must_renew = kept.is_long();
            if must_renew {
                self.say(table, id, What::LongPassword);
            }
            if must_renew || kept.differs_from(old) {
                self.protections.push(Protection { slot: Slot::Password, id, owner, old, kept, must_renew });
            }
        }
        if let Some(old) = account.mfa.as_deref().filter(|mfa| !mfa.is_empty()) {
            let kept = Kept::secret(old, keyring);
            self.judge_second_factor(table, id, &kept);
            // One that is too long stays as it is: it is nowhere else.
            let fits = kept.clear().is_some_and(|clear| clear.len() <= LONGEST_SEALED);
            if account.mfa_key.is_none() && fits && kept.differs_from(old) {
                self.protections.push(Protection { slot: Slot::SecondFactor, id, owner, old, kept, must_renew: false });
            }
        }
    }

    fn protect_history(&mut self, past: &'a HistoryRow, owners: &HashMap<i64, &'a str>, keyring: &Keyring) {
        if past.password_key.is_some() {
            return;
        }
        let (table, id, old) = ("password_history_v2", past.id, past.password.as_str());
        let kept = Kept::password(old, keyring);
        match kept {
            Kept::InClear(_) => {
                let owner = past.user_id.and_then(|id| owners.get(&id)).copied().unwrap_or_default();
                self.say(table, id, What::PasswordInClear);
                self.protections.push(Protection { slot: Slot::PastPassword, id, owner, old, kept, must_renew: false });
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
        let case_key = self.judge_name(table, id, name, keys);
        let password = Kept::password(row.password.as_deref().unwrap_or_default(), keyring);
        self.judge_password(table, id, &password);
        let is_cut = matches!(&password, Kept::InClear(clear) if clear.len() > PasswordHash::MAX_BYTES);
        let must_renew = is_cut || password.is_long();
        if must_renew {
            self.say(table, id, What::LongPassword);
        }
        let second_factor = row.mfa.as_deref().filter(|mfa| !mfa.is_empty()).map(|mfa| Kept::secret(mfa, keyring));
        match &second_factor {
            Some(kept) => self.judge_second_factor(table, id, kept),
            None => self.say(table, id, What::NotEnrolled),
        }
        let gendate = match row.gendate {
            Some(at) if at > now.seconds() + CLOCK_SKEW => {
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
            case_key,
            password,
            second_factor,
            gendate,
            expired,
            must_renew,
        });
    }

    /// The name's key; none if another name has it.
    fn judge_name(&mut self, table: &'static str, id: i64, name: &str, keys: &mut HashSet<String>) -> Option<String> {
        let key = case_key(name);
        let case_key = keys.insert(key.clone()).then_some(key);
        if case_key.is_none() {
            self.say(table, id, What::SameNameButForCase);
        }
        if Username::try_from(name.to_owned()).is_err() {
            self.say(table, id, What::UnreachableName);
        }
        case_key
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

/// Carries a plan out.
struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    keyring: &'a Keyring,
    now: UnixTime,
}

impl Writer<'_> {
    async fn execute(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.transaction.execute(statement, parameters).await.map_err(refused)
    }

    /// Puts a protected secret in the place of the one that was found, unless it was replaced meanwhile.
    async fn protect(&self, place: &Protection<'_>, secret: &Sealed) -> Result<()> {
        let (table, column) = match place.slot {
            Slot::Password => ("users_v2", "password"),
            Slot::SecondFactor | Slot::PendingSecondFactor => ("users_v2", "mfa"),
            Slot::PastPassword => ("password_history_v2", "password"),
        };
        let mark = if place.must_renew { ", expired = TRUE, expired_since = $6::bigint" } else { "" };
        let update = format!(
            "UPDATE {table} SET {column} = $1, {column}_key = $2, {column}_binding = $3{mark}
             WHERE id = $4::bigint AND {column} = $5 AND {column}_key IS NULL"
        );
        let (token, key, binding) = columns(secret);
        let now = self.now.seconds();
        let parameters: [&(dyn ToSql + Sync); 6] = [&token, &key, &binding, &place.id, &place.old, &now];
        let given = if place.must_renew { 6 } else { 5 };
        let protected = self.execute(&update, &parameters[..given]).await;
        protected.map(|_| ()).with_context(|| format!("cannot protect {table}:{}", place.id))
    }

    /// Whether the account has come; if not, somebody took its name meanwhile.
    async fn import(&self, import: &Import<'_>, password: &Sealed, second_factor: Option<&Sealed>) -> Result<bool> {
        let insert = "
            INSERT INTO users_v2 (username, username_key, password, password_key, password_binding, mfa, mfa_key, mfa_binding,
                                  gendate, expired, expired_since, state, origin, imported_from, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                    to_timestamp($15::bigint) AT TIME ZONE 'UTC', to_timestamp($15::bigint) AT TIME ZONE 'UTC')
            ON CONFLICT DO NOTHING
            RETURNING id::bigint";
        let (standing, name, now) = (Standing::of_taken_over(), import.username, self.now.seconds());
        let (token, key, binding) = columns(password);
        let (mfa, mfa_key, mfa_binding) = second_factor.map_or((None, None, None), |sealed| {
            let (token, key, binding) = columns(sealed);
            (Some(token), key, binding)
        });
        let (expired, since) = (import.expired || import.must_renew, import.must_renew.then_some(now));
        let row: [&(dyn ToSql + Sync); 15] = [
            &name,
            &import.case_key,
            &token,
            &key,
            &binding,
            &mfa,
            &mfa_key,
            &mfa_binding,
            &import.gendate,
            &expired,
            &since,
            &standing.state.as_str(),
            &standing.origin.as_str(),
            &import.id,
            &now,
        ];
        let Some(inserted) = self.transaction.query_opt(insert, &row).await.map_err(refused)? else { return Ok(false) };
        let id: i64 = inserted.get(0);
        let bound = standing.bind_to(AccountId(id), name, self.keyring);
        let bind = "UPDATE users_v2 SET standing_key = $1, standing_binding = $2 WHERE id = $3::bigint";
        self.execute(bind, &[&self.keyring.first_id().as_str(), &bound.as_str(), &id]).await?;
        if password.binding().is_some() {
            let past = self.keyring.bind_elsewhere(password, Slot::PastPassword.of(name));
            let (token, key, binding) = columns(&past);
            let history = "
                INSERT INTO password_history_v2 (user_id, password, password_key, password_binding, gendate, expired, created_at)
                VALUES ($1::bigint, $2, $3, $4, $5, $6, to_timestamp($7::bigint) AT TIME ZONE 'UTC')";
            self.execute(history, &[&id, &token, &key, &binding, &import.gendate, &expired, &now]).await?;
        }
        let audit = "
            INSERT INTO auth_logs_v2 (user_id, action, success, details, created_at)
            VALUES ($1::bigint, 'account_imported', TRUE, jsonb_build_object('username', $2::text),
                    to_timestamp($3::bigint) AT TIME ZONE 'UTC')";
        self.execute(audit, &[&id, &name, &now]).await?;
        Ok(true)
    }

    /// Has whoever was taken over, and still has a credential of then, renew.
    async fn expire(&self) -> Result<u64> {
        let update = "
            UPDATE users_v2 SET expired = TRUE, expired_since = $1
            WHERE imported_from IS NOT NULL AND expired_since IS NULL
                  AND (password_generation = 0 OR mfa_generation = 0 AND nullif(mfa, '') IS NOT NULL)";
        self.execute(update, &[&self.now.seconds()]).await
    }
}

/// A protected secret as its three columns.
fn columns(sealed: &Sealed) -> (&str, Option<&str>, Option<&str>) {
    (sealed.token(), sealed.key().map(KeyId::as_str), sealed.binding().map(Binding::as_str))
}
