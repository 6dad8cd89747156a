//! Taking over what the functions before left: accounts of the first generation's table `users`, and secrets in clear.
//!
//! First a plan is made from what the tables hold, whatever columns they have by now; a dry run ends there. Then the plan is
//! carried out in one transaction. What was taken over once is not looked at again, so doing it twice changes nothing more.

use anyhow::{Context, Result};
use cofrap_accounts::{AccountId, Standing, UnixTime, Username, case_key};
use cofrap_crypto::{Binding, KeyId, Keyring, PasswordHash, Place, Sealed, Slot, TotpSecret};
use rand_core::CryptoRng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fmt;
use tokio_postgres::{Client, Transaction};

/// The columns by which the first generation's table is told from another program's `users`.
const FIRST_GENERATION: [&str; 6] = ["expired", "gendate", "id", "mfa", "password", "username"];

/// Bytes of the longest text whose token fits a column of 255 characters.
const LONGEST_SEALED: usize = 126;

/// What was found, or will be done: by table and row where it concerns one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: &'static str,
    /// The row's `id`.
    pub id: i64,
    /// What about it.
    pub what: What,
}

/// What there is to say about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The account is taken over.
    TakenOver,
    /// Its password was in clear.
    PasswordInClear,
    /// Its second factor was in clear.
    SecondFactorInClear,
    /// Its password was longer than bcrypt reads.
    LongPassword,
    /// It has no second factor.
    NotEnrolled,
    /// It has no password.
    NoPassword,
    /// No key opens its password, or it is no bcrypt hash that can be verified.
    UnreadablePassword,
    /// No key opens its second factor, or it is no base32.
    UnreadableSecondFactor,
    /// It does not say when its password was made.
    NoBirth,
    /// Its name has more than 50 characters.
    LongName,
    /// It has no name.
    NoName,
    /// An account has its very name.
    Duplicate,
    /// Its name differs from another's only in case.
    SameNameButForCase,
    /// No request can give its name.
    UnreachableName,
}

/// What a take-over found and did, or would do.
#[derive(Debug, Default)]
pub struct TakenOver {
    /// Row by row.
    pub findings: Vec<Finding>,
    /// Rows of `users` that were taken over before.
    pub before: usize,
    /// Whether any password is kept as a bcrypt hash.
    pub has_hashes: bool,
    /// Accounts that must renew at their next complete login, because that was asked for.
    pub expired: u64,
    /// Whether there is a table `users` of another program.
    pub has_foreign_users: bool,
}

/// How a take-over is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// Every account of the first generation must renew at its first complete login.
    Imported,
    /// Only who would anyway.
    Nobody,
}

/// What would be done. Nothing is written, and the tables may have any of their shapes.
///
/// # Errors
/// When the database refuses a statement, or a table has not the columns that it should have.
pub async fn plan_take_over(client: &Client, keyring: &Keyring, expire: Expire) -> Result<TakenOver> {
    let tables = Tables::read(client).await?;
    let plan = Plan::of(&tables, keyring);
    let mut report = plan.report();
    if expire == Expire::Imported {
        report.expired = plan.imports.len() as u64;
    }
    Ok(report)
}

/// Protects what is in clear, and gives the accounts of the first generation rows in `users_v2`; their own table is only read.
///
/// # Errors
/// As [`plan_take_over`]; nothing was written then.
pub async fn take_over(
    client: &mut Client,
    keyring: &Keyring,
    rng: &mut impl CryptoRng,
    now: UnixTime,
    expire: Expire,
) -> Result<TakenOver> {
    let transaction = client.transaction().await?;
    // Functions may go on meanwhile; another take-over may not.
    transaction.batch_execute("LOCK TABLE users_v2 IN SHARE UPDATE EXCLUSIVE MODE").await?;
    let tables = Tables::read(transaction.client()).await?;
    let plan = Plan::of(&tables, keyring);
    let mut report = plan.report();
    let mut writer = Writer { transaction: &transaction, keyring, rng, now };
    if !plan.is_empty() {
        writer.register_key().await?;
    }
    for secret in &plan.secrets {
        writer.protect(secret).await?;
    }
    for import in &plan.imports {
        writer.import(import).await.with_context(|| format!("cannot take over users:{}", import.id))?;
    }
    if expire == Expire::Imported {
        report.expired = writer.expire().await?;
    }
    transaction.commit().await.context("cannot end the take-over")?;
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
    password_key: Option<String>,
    mfa_key: Option<String>,
    username_key: Option<String>,
    imported_from: Option<i64>,
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
        let columns = "SELECT coalesce(string_agg(column_name::text, ',' ORDER BY column_name::text COLLATE \"C\"), '')
                       FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'users'";
        let columns: String = client.query_one(columns, &[]).await?.get(0);
        let columns: Vec<_> = columns.split(',').collect();
        let is_ours = FIRST_GENERATION.iter().all(|name| columns.contains(name));
        Ok(Self {
            first_generation: if is_ours { rows(client, "users").await? } else { Vec::new() },
            accounts: rows(client, "users_v2").await?,
            history: rows(client, "password_history_v2").await?,
            has_foreign_users: !is_ours && columns != [""],
        })
    }
}

/// Every row of a table, by its number; none if there is no such table.
async fn rows<T: DeserializeOwned>(client: &Client, table: &'static str) -> Result<Vec<T>> {
    let exists = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query(&format!("SELECT to_jsonb(t)::text FROM {table} t ORDER BY id"), &[]).await;
    let read = |row: tokio_postgres::Row| Ok(serde_json::from_str(row.try_get(0)?)?);
    rows.with_context(|| format!("cannot read {table}"))?
        .into_iter()
        .map(read)
        .collect::<Result<_>>()
        .with_context(|| format!("the table {table} has not the columns of its generation"))
}

/// What is to be done.
#[derive(Default)]
struct Plan<'a> {
    secrets: Vec<SecretInClear<'a>>,
    imports: Vec<Import<'a>>,
    findings: Vec<Finding>,
    before: usize,
    has_hashes: bool,
    has_foreign_users: bool,
}

/// A secret of the second generation that is kept in clear.
struct SecretInClear<'a> {
    slot: Slot,
    id: i64,
    owner: &'a str,
    clear: &'a str,
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
}

/// How a secret is kept where it is found.
enum Kept<'a> {
    /// A Fernet token that a key opens: what it says.
    Sealed(zeroize::Zeroizing<String>),
    /// A bcrypt hash.
    Hashed(&'a str),
    InClear(&'a str),
    /// What nobody can read; it stays as it is.
    Unreadable(&'a str),
}

impl<'a> Kept<'a> {
    fn password(text: &'a str, keyring: &Keyring) -> Self {
        if PasswordHash::is_claimed_by(text) {
            return if PasswordHash::parse(text).is_ok() { Self::Hashed(text) } else { Self::Unreadable(text) };
        }
        Self::secret(text, keyring)
    }

    fn secret(text: &'a str, keyring: &Keyring) -> Self {
        if text.is_empty() {
            return Self::Unreadable(text);
        }
        if !text.starts_with("gAAAAA") {
            return Self::InClear(text);
        }
        let sealed = Sealed::from_stored(text.to_owned(), None, None);
        match keyring.open(&sealed, Slot::Password.of("")) {
            Ok(opened) => Self::Sealed(opened.clear),
            Err(_) => Self::Unreadable(text),
        }
    }

    /// What it says, as far as that can be read.
    fn clear(&self) -> Option<&str> {
        match self {
            Self::Sealed(clear) => Some(clear),
            Self::InClear(clear) => Some(clear),
            Self::Hashed(_) | Self::Unreadable(_) => None,
        }
    }
}

impl<'a> Plan<'a> {
    fn of(tables: &'a Tables, keyring: &Keyring) -> Self {
        let mut plan = Self { has_foreign_users: tables.has_foreign_users, ..Self::default() };
        let mut keys: HashSet<_> = tables.accounts.iter().filter_map(|account| account.username_key.clone()).collect();
        for account in &tables.accounts {
            if let Some(key) = &account.username_key {
                keys.remove(key);
            }
            plan.judge_name("users_v2", account.id, &account.username, &mut keys);
            plan.protect_account(account, keyring);
        }
        let owners = tables.accounts.iter().map(|account| (account.id, account.username.as_str())).collect();
        for past in &tables.history {
            plan.protect_history(past, &owners, keyring);
        }
        let mut names: HashSet<_> = tables.accounts.iter().map(|account| account.username.as_str()).collect();
        let imported: HashSet<_> = tables.accounts.iter().filter_map(|account| account.imported_from).collect();
        for row in &tables.first_generation {
            if imported.contains(&row.id) {
                plan.before += 1;
            } else {
                plan.import(row, &mut names, &mut keys, keyring);
            }
        }
        plan
    }

    fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.imports.is_empty()
    }

    fn report(&self) -> TakenOver {
        TakenOver {
            findings: self.findings.clone(),
            before: self.before,
            has_hashes: self.has_hashes,
            expired: 0,
            has_foreign_users: self.has_foreign_users,
        }
    }

    fn say(&mut self, table: &'static str, id: i64, what: What) {
        self.findings.push(Finding { table, id, what });
    }

    fn protect_account(&mut self, account: &'a AccountRow, keyring: &Keyring) {
        let (table, owner) = ("users_v2", account.username.as_str());
        if account.password_key.is_none() {
            let kept = Kept::password(&account.password, keyring);
            self.judge_password(table, account.id, &kept);
            if let Kept::InClear(clear) = kept {
                self.secrets.push(SecretInClear { slot: Slot::Password, id: account.id, owner, clear });
            }
        }
        if let (Some(mfa), None) = (account.mfa.as_deref().filter(|mfa| !mfa.is_empty()), &account.mfa_key) {
            let kept = Kept::secret(mfa, keyring);
            self.judge_second_factor(table, account.id, &kept);
            if let Kept::InClear(clear) = kept {
                self.secrets.push(SecretInClear { slot: Slot::SecondFactor, id: account.id, owner, clear });
            }
        }
    }

    fn protect_history(&mut self, past: &'a HistoryRow, owners: &HashMap<i64, &'a str>, keyring: &Keyring) {
        if past.password_key.is_some() {
            return;
        }
        match Kept::password(&past.password, keyring) {
            Kept::InClear(clear) => {
                let owner = past.user_id.and_then(|id| owners.get(&id)).copied().unwrap_or_default();
                self.say("password_history_v2", past.id, What::PasswordInClear);
                self.secrets.push(SecretInClear { slot: Slot::PastPassword, id: past.id, owner, clear });
            }
            Kept::Unreadable(_) => self.say("password_history_v2", past.id, What::UnreadablePassword),
            Kept::Sealed(_) | Kept::Hashed(_) => {}
        }
    }

    fn import(
        &mut self,
        row: &'a FirstGenerationRow,
        names: &mut HashSet<&'a str>,
        keys: &mut HashSet<String>,
        keyring: &Keyring,
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
        let second_factor = row.mfa.as_deref().filter(|mfa| !mfa.is_empty()).map(|mfa| Kept::secret(mfa, keyring));
        match &second_factor {
            Some(kept) => self.judge_second_factor(table, id, kept),
            None => self.say(table, id, What::NotEnrolled),
        }
        if row.gendate.is_none() {
            self.say(table, id, What::NoBirth);
        }
        self.imports.push(Import {
            id,
            username: name,
            case_key,
            password,
            second_factor,
            gendate: row.gendate.unwrap_or(0),
            expired: row.expired.unwrap_or(false),
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
            Kept::Hashed(_) => self.has_hashes = true,
            Kept::InClear(clear) => {
                self.say(table, id, What::PasswordInClear);
                if clear.len() > PasswordHash::MAX_BYTES && (table == "users" || clear.len() > LONGEST_SEALED) {
                    self.say(table, id, What::LongPassword);
                }
            }
            Kept::Unreadable("") => self.say(table, id, What::NoPassword),
            Kept::Unreadable(_) => self.say(table, id, What::UnreadablePassword),
        }
    }

    fn judge_second_factor(&mut self, table: &'static str, id: i64, kept: &Kept<'_>) {
        if matches!(kept, Kept::InClear(_)) {
            self.say(table, id, What::SecondFactorInClear);
        }
        if kept.clear().is_none_or(|clear| TotpSecret::from_base32(clear).is_err()) {
            self.say(table, id, What::UnreadableSecondFactor);
        }
    }
}

/// Carries a plan out.
struct Writer<'a, R> {
    transaction: &'a Transaction<'a>,
    keyring: &'a Keyring,
    rng: &'a mut R,
    now: UnixTime,
}

impl<R: CryptoRng> Writer<'_, R> {
    /// Everything here is sealed and bound under the first key.
    async fn register_key(&self) -> Result<()> {
        let insert = "INSERT INTO encryption_keys (id, registered_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.transaction.execute(insert, &[&self.keyring.first_id().as_str(), &self.now.seconds()]).await?;
        Ok(())
    }

    fn seal(&self, clear: &str, place: Place<'_>) -> Sealed {
        self.keyring.seal(clear, self.now.unsigned_seconds(), place)
    }

    fn hash(&mut self, clear: &str, place: Place<'_>) -> Sealed {
        self.keyring.bind_hash(PasswordHash::of_taken_over(clear, self.rng, || {}), place)
    }

    /// Protects a secret of the second generation where it stands, unless it was replaced meanwhile.
    async fn protect(&mut self, secret: &SecretInClear<'_>) -> Result<()> {
        let place = secret.slot.of(secret.owner);
        let protected = if secret.clear.len() > LONGEST_SEALED && secret.slot != Slot::SecondFactor {
            self.hash(secret.clear, place)
        } else {
            self.seal(secret.clear, place)
        };
        let (table, column) = match secret.slot {
            Slot::Password => ("users_v2", "password"),
            Slot::SecondFactor | Slot::PendingSecondFactor => ("users_v2", "mfa"),
            Slot::PastPassword => ("password_history_v2", "password"),
        };
        let update = format!(
            "UPDATE {table} SET {column} = $1, {column}_key = $2, {column}_binding = $3
             WHERE id = $4::bigint AND {column} = $5 AND {column}_key IS NULL"
        );
        let (token, key, binding) = columns(&protected);
        self.transaction
            .execute(&update, &[&token, &key, &binding, &secret.id, &secret.clear])
            .await
            .with_context(|| format!("cannot protect {table}:{}", secret.id))?;
        Ok(())
    }

    async fn import(&mut self, import: &Import<'_>) -> Result<()> {
        let name = import.username;
        let password = match &import.password {
            Kept::Sealed(clear) => self.seal(clear, Slot::Password.of(name)),
            Kept::Hashed(hash) => self.keyring.bind_hash((*hash).to_owned(), Slot::Password.of(name)),
            Kept::InClear(clear) => self.hash(clear, Slot::Password.of(name)),
            Kept::Unreadable(text) => Sealed::from_stored((*text).to_owned(), None, None),
        };
        let second_factor = import.second_factor.as_ref().map(|kept| match kept {
            Kept::Sealed(clear) => self.seal(clear, Slot::SecondFactor.of(name)),
            Kept::InClear(clear) => self.seal(clear, Slot::SecondFactor.of(name)),
            Kept::Hashed(text) | Kept::Unreadable(text) => Sealed::from_stored((*text).to_owned(), None, None),
        });
        let (password_text, password_key, password_binding) = columns(&password);
        let (mfa, mfa_key, mfa_binding) = second_factor.as_ref().map_or((None, None, None), |sealed| {
            let (token, key, binding) = columns(sealed);
            (Some(token), key, binding)
        });
        let insert = "
            INSERT INTO users_v2 (username, username_key, password, password_key, password_binding, mfa, mfa_key, mfa_binding,
                                  gendate, expired, state, origin, imported_from, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
                    to_timestamp($14::bigint) AT TIME ZONE 'UTC', to_timestamp($14::bigint) AT TIME ZONE 'UTC')
            RETURNING id::bigint";
        let standing = Standing::of_taken_over();
        let now = self.now.seconds();
        let inserted = self
            .transaction
            .query_one(
                insert,
                &[
                    &name,
                    &import.case_key,
                    &password_text,
                    &password_key,
                    &password_binding,
                    &mfa,
                    &mfa_key,
                    &mfa_binding,
                    &import.gendate,
                    &import.expired,
                    &standing.state.as_str(),
                    &standing.origin.as_str(),
                    &import.id,
                    &now,
                ],
            )
            .await?;
        let id: i64 = inserted.get(0);
        let binding = standing.bind_to(AccountId(id), name, self.keyring);
        let bind = "UPDATE users_v2 SET standing_key = $1, standing_binding = $2 WHERE id = $3::bigint";
        self.transaction.execute(bind, &[&self.keyring.first_id().as_str(), &binding.as_str(), &id]).await?;
        if password.binding().is_some() {
            let past = self.keyring.bind_elsewhere(&password, Slot::PastPassword.of(name));
            let (_, key, binding) = columns(&past);
            let insert = "
                INSERT INTO password_history_v2 (user_id, password, password_key, password_binding, gendate, expired, created_at)
                VALUES ($1::bigint, $2, $3, $4, $5, $6, to_timestamp($7::bigint) AT TIME ZONE 'UTC')";
            self.transaction
                .execute(insert, &[&id, &password_text, &key, &binding, &import.gendate, &import.expired, &now])
                .await?;
        }
        let audit = "
            INSERT INTO auth_logs_v2 (user_id, action, success, details, created_at)
            VALUES ($1::bigint, 'account_imported', TRUE, jsonb_build_object('username', $2::text),
                    to_timestamp($3::bigint) AT TIME ZONE 'UTC')";
        self.transaction.execute(audit, &[&id, &name, &now]).await?;
        Ok(())
    }

    /// Has whoever was taken over, and has not changed anything since, renew.
    async fn expire(&self) -> Result<u64> {
        let update = "
            UPDATE users_v2 SET expired = TRUE, expired_since = greatest($1, gendate)
            WHERE imported_from IS NOT NULL AND expired_since IS NULL AND password_generation = 0";
        Ok(self.transaction.execute(update, &[&self.now.seconds()]).await?)
    }
}

/// A protected secret as its three columns.
fn columns(sealed: &Sealed) -> (&str, Option<&str>, Option<&str>) {
    (sealed.token(), sealed.key().map(KeyId::as_str), sealed.binding().map(Binding::as_str))
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakenOver => "taken over into users_v2",
            Self::PasswordInClear => "the password was in clear; it is protected",
            Self::SecondFactorInClear => "the second factor was in clear; it is protected",
            Self::LongPassword => {
                "the password has more than the 72 bytes that bcrypt reads; its owner is let in to renew it (typing its \
                 first 100 characters, if it has more)"
            }
            Self::NotEnrolled => "no second factor; its owner enrols with the current password",
            Self::NoPassword => "no password; the operator gives it one",
            Self::UnreadablePassword => {
                "no key opens the password, or it is no bcrypt hash of a cost up to 14; it stays as it is, and nobody logs in \
                 until encryption_key has its key or the operator gives it another"
            }
            Self::UnreadableSecondFactor => {
                "no key opens the second factor, or it is no base32; it stays, and nobody logs in until encryption_key has its \
                 key or the operator resets it"
            }
            Self::NoBirth => "it has no gendate; its owner renews at the first complete login",
            Self::LongName => "the name has more than 50 characters; not taken over",
            Self::NoName => "it has no name; not taken over",
            Self::Duplicate => "an account of that name is there already; not taken over",
            Self::SameNameButForCase => "the name differs from another's only in case; both stay",
            Self::UnreachableName => "the name is one that no request can give; it stays",
        })
    }
}
