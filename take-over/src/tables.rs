//! Reads the rows that a take-over has to look at: other programs wrote them, and no take-over has treated them.

use crate::stored_secret::SHORTEST_TOKEN;
use anyhow::{Context, Result, anyhow};
use cofrap_accounts::{UnixTime, sameness_key};
use cofrap_migrations::refused;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;
use tokio_postgres::Client;

/// The columns of API version 1's table `users`. A table without them belongs to another program.
const FIRST_GENERATION: [&str; 6] = ["expired", "gendate", "id", "mfa", "password", "username"];

/// How many rows a statement reads.
const BATCH: i64 = 5_000;

/// A bcrypt hash as it is stored, of a cost that no remark is due to: there is nothing to do about it.
const ORDINARY_HASH: &str = r"^\$2[aby]\$(0[4-9]|1[0-2])\$[./A-Za-z0-9]{53}$";

/// A row of `users`.
#[derive(Deserialize)]
pub(crate) struct VersionOneRow {
    pub(crate) id: i64,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) mfa: Option<String>,
    pub(crate) gendate: Option<i64>,
    pub(crate) expired: Option<bool>,
}

/// A row of `users_v2`, as much of it as there is by now.
#[derive(Deserialize)]
pub(crate) struct AccountRow {
    pub(crate) id: i64,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) mfa: Option<String>,
    pub(crate) gendate: i64,
    pub(crate) password_key: Option<String>,
    pub(crate) mfa_key: Option<String>,
    pub(crate) username_key: Option<String>,
}

/// A row of `password_history_v2`.
#[derive(Deserialize)]
pub(crate) struct HistoryRow {
    pub(crate) id: i64,
    pub(crate) password: String,
    /// Its account's name.
    pub(crate) owner: Option<String>,
}

/// What the tables hold.
#[derive(Default)]
pub(crate) struct Tables {
    /// Those that were not taken over yet.
    pub(crate) version_one: Vec<VersionOneRow>,
    /// Those with something in them that is not ours.
    pub(crate) accounts: Vec<AccountRow>,
    /// Those that are not protected.
    pub(crate) history: Vec<HistoryRow>,
    /// How many were taken over before.
    pub(crate) before: u64,
    /// Rows of `users` whose number was taken over under another name.
    pub(crate) renamed: Vec<i64>,
    pub(crate) has_foreign_users: bool,
    /// Whether some passwords are hashes about which there is nothing to do.
    pub(crate) has_hashes: bool,
    /// Of the names above, those that accounts have, and the keys that names in `users_v2` have.
    pub(crate) taken_names: HashSet<String>,
    pub(crate) taken_keys: HashSet<String>,
}

impl Tables {
    pub(crate) async fn read(client: &Client, latest_plausible: UnixTime) -> Result<Self> {
        let of_users = columns(client, "users").await?;
        let is_ours = FIRST_GENERATION.iter().all(|name| of_users.iter().any(|column| column == name));
        let of_accounts = columns(client, "users_v2").await?;
        let has = |column: &str| of_accounts.iter().any(|name| name == column);
        let mut tables = Self { has_foreign_users: !is_ours && !of_users.is_empty(), ..Self::default() };

        let (unkeyed, ordinary) = ("t.password_key IS NULL", format!("t.password ~ '{ORDINARY_HASH}'"));
        if has("password_key") && has("mfa_key") && has("username_key") {
            let something = format!(
                "t.username_key IS NULL OR t.username ~ '[[:cntrl:]]' OR {unkeyed} AND NOT {ordinary} OR t.mfa <> '' AND (t.mfa_key IS NULL OR length(t.mfa) <= {SHORTEST_TOKEN}) OR t.gendate > {}",
                latest_plausible.seconds()
            );
            tables.accounts = rows(client, "users_v2", "to_jsonb(t)", &something).await?;
            let question = format!("SELECT EXISTS (SELECT FROM users_v2 t WHERE {unkeyed} AND {ordinary})");
            tables.has_hashes = client.query_one(&question, &[]).await.map_err(refused)?.get(0);
        } else if !of_accounts.is_empty() {
            tables.accounts = rows(client, "users_v2", "to_jsonb(t)", "TRUE").await?;
        }

        let of_history = columns(client, "password_history_v2").await?;
        if !of_history.is_empty() {
            let is_keyed = of_history.iter().any(|name| name == "password_key");
            let something = if is_keyed { format!("{unkeyed} AND NOT {ordinary}") } else { "TRUE".to_owned() };
            let with_owner = "to_jsonb(t) || jsonb_build_object('owner', (SELECT u.username FROM users_v2 u WHERE u.id = t.user_id))";
            tables.history = rows(client, "password_history_v2", with_owner, &something).await?;
        }

        if is_ours && has("imported_from") {
            let missing = "NOT EXISTS (SELECT FROM users_v2 u WHERE u.imported_from = t.id)";
            tables.version_one = rows(client, "users", "to_jsonb(t)", missing).await?;
            let taken = "SELECT count(*), coalesce(array_agg(t.id::bigint ORDER BY t.id)
                             FILTER (WHERE t.username IS DISTINCT FROM u.username::text), '{}')
                         FROM users t JOIN users_v2 u ON u.imported_from = t.id";
            let taken = client.query_one(taken, &[]).await.map_err(refused)?;
            (tables.before, tables.renamed) = (taken.get::<_, i64>(0).unsigned_abs(), taken.get(1));
        } else if is_ours {
            tables.version_one = rows(client, "users", "to_jsonb(t)", "TRUE").await?;
        }
        if !of_accounts.is_empty() {
            tables.look_up_names(client, has("username_key")).await?;
        }
        Ok(tables)
    }

    async fn look_up_names(&mut self, client: &Client, has_keys: bool) -> Result<()> {
        let found = async |column: &str, wanted: &[String]| -> Result<HashSet<String>> {
            let question = format!("SELECT {column}::text FROM users_v2 WHERE {column} = ANY ($1::text[])");
            let rows = client.query(&question, &[&wanted]).await.map_err(refused).context("cannot look for names")?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        };
        let names: Vec<String> = self.version_one.iter().filter_map(|row| row.username.clone()).collect();
        let unkeyed = self.accounts.iter().filter(|account| account.username_key.is_none());
        let keys: Vec<String> =
            unkeyed.map(|account| &account.username).chain(&names).map(|name| sameness_key(name)).collect();
        self.taken_names = found("username", &names).await?;
        if has_keys {
            self.taken_keys = found("username_key", &keys).await?;
        }
        Ok(())
    }
}

/// The names of a table's columns; none if there is no such table.
pub(crate) async fn columns(client: &Client, table: &str) -> Result<Vec<String>> {
    let question = "SELECT attname::text FROM pg_attribute
                    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let columns = client.query(question, &[&table]).await.map_err(refused)?;
    Ok(columns.iter().map(|row| row.get(0)).collect())
}

/// The rows `t` of a table that a condition holds for, by their number, each as JSON: whatever types its columns have.
async fn rows<T: DeserializeOwned>(client: &Client, table: &'static str, row: &str, condition: &str) -> Result<Vec<T>> {
    let batch = format!(
        "SELECT t.id::bigint, ({row})::text FROM {table} t WHERE t.id > $1::bigint AND ({condition}) ORDER BY t.id LIMIT {BATCH}"
    );
    let (mut read, mut after) = (Vec::new(), i64::MIN);
    loop {
        let rows = client.query(&batch, &[&after]).await.map_err(refused);
        let rows = rows.with_context(|| format!("cannot read {table}"))?;
        let Some(last) = rows.last() else { return Ok(read) };
        after = last.try_get(0)?;
        for row in &rows {
            let (id, text): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
            // The reason would show what is stored.
            let row: Value = serde_json::from_str(text)?;
            read.push(
                serde_json::from_value(row)
                    .map_err(|_| anyhow!("{table}:{id} has columns of other types than expected"))?,
            );
        }
    }
}
