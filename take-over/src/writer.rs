//! Carries out a plan, many rows at a time.

use crate::plan::{Import, Protection};
use crate::tables::columns;
use anyhow::{Context, Result};
use cofrap_accounts::{AccountId, AccountStatus, UnixTime};
use cofrap_crypto::{KeyId, Keyring, RowMac, Sealed, SecretColumn};
use cofrap_migrations::refused;
use std::collections::HashMap;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Transaction};

/// How many rows a statement writes.
const BATCH: usize = 1_000;

/// Whether a row of `users_v2` was taken over and still has a credential from before.
const IS_EXPIRABLE: &str = "imported_from IS NOT NULL AND expired_since IS NULL
                            AND (password_generation = 0 OR mfa_generation = 0 AND nullif(mfa, '') IS NOT NULL)";

/// Marks an account as expired, as an operator's `expire` does: its sessions and tokens end. The time follows.
const MARK: &str =
    "session_epoch = session_epoch + 1, security_counter = security_counter + 1, previous_password = NULL,
     previous_password_key = NULL, previous_password_binding = NULL, previous_password_ends = NULL, pending_mfa = NULL,
     pending_mfa_key = NULL, pending_mfa_binding = NULL, pending_mfa_gendate = NULL, expired = TRUE, expired_since =";

/// An account to take over, with its secrets as they are stored from now on.
pub(crate) type Imported<'a> = (&'a Import<'a>, (Sealed, Option<Sealed>));

pub(crate) struct Writer<'a> {
    pub(crate) transaction: &'a Transaction<'a>,
    pub(crate) keyring: &'a Keyring,
    pub(crate) now: UnixTime,
}

/// Secrets as their three columns.
#[derive(Default)]
struct Columns<'a> {
    tokens: Vec<Option<&'a str>>,
    keys: Vec<Option<&'a str>>,
    bindings: Vec<Option<&'a str>>,
}

impl<'a> FromIterator<Option<&'a Sealed>> for Columns<'a> {
    fn from_iter<T: IntoIterator<Item = Option<&'a Sealed>>>(secrets: T) -> Self {
        let mut columns = Self::default();
        for secret in secrets {
            columns.tokens.push(secret.map(Sealed::token));
            columns.keys.push(secret.and_then(Sealed::key).map(KeyId::as_str));
            columns.bindings.push(secret.and_then(Sealed::mac).map(RowMac::as_str));
        }
        columns
    }
}

impl Writer<'_> {
    async fn execute(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        self.transaction.execute(statement, parameters).await.map_err(refused)
    }

    /// Stores protected secrets, unless others replaced the found ones meanwhile.
    pub(crate) async fn protect(&self, protections: &[(&Protection<'_>, Sealed)]) -> Result<()> {
        for kind in [SecretColumn::Password, SecretColumn::SecondFactor, SecretColumn::PastPassword] {
            for must_change in [false, true] {
                let is_of_kind = |(protection, _): &&(&Protection<'_>, Sealed)| {
                    protection.column == kind && protection.must_change == must_change
                };
                let of_kind: Vec<_> = protections.iter().filter(is_of_kind).collect();
                for batch in of_kind.chunks(BATCH) {
                    self.protect_batch(kind, must_change, batch).await?;
                }
            }
        }
        Ok(())
    }

    async fn protect_batch(
        &self,
        kind: SecretColumn,
        must_change: bool,
        batch: &[&(&Protection<'_>, Sealed)],
    ) -> Result<()> {
        let (table, column) = match kind {
            SecretColumn::Password => ("users_v2", "password"),
            SecretColumn::SecondFactor | SecretColumn::PendingSecondFactor => ("users_v2", "mfa"),
            SecretColumn::PastPassword => ("password_history_v2", "password"),
        };
        let mark = if must_change { format!(", {MARK} $6::bigint") } else { String::new() };
        let update = format!(
            "UPDATE {table} t SET {column} = n.token, {column}_key = n.key, {column}_binding = n.binding{mark}
             FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (id, old, token, key, binding)
             WHERE t.id = n.id AND t.{column} = n.old AND t.{column}_key IS NULL RETURNING t.id::bigint"
        );
        let (ids, old): (Vec<_>, Vec<_>) = batch.iter().map(|(protection, _)| (protection.id, protection.old)).unzip();
        let secrets: Columns<'_> = batch.iter().map(|(_, secret)| Some(secret)).collect();
        let now = self.now.seconds();
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&ids, &old, &secrets.tokens, &secrets.keys, &secrets.bindings, &now];
        let given = if must_change { 6 } else { 5 };
        let protected = self.transaction.query(&update, &parameters[..given]).await.map_err(refused);
        let protected = protected.with_context(|| format!("cannot protect {table}, rows {}", between(&ids)))?;
        let marked: Vec<i64> = protected.iter().map(|row| row.get(0)).collect();
        if must_change { self.record_expired(&marked).await } else { Ok(()) }
    }

    /// Inserts rows for accounts of API version 1. Returns the numbers of those whose name somebody took meanwhile.
    pub(crate) async fn import(&self, imports: &[Imported<'_>]) -> Result<Vec<i64>> {
        let mut left = Vec::new();
        for batch in imports.chunks(BATCH) {
            let ids: Vec<_> = batch.iter().map(|(import, _)| import.id).collect();
            let come = self.import_batch(batch, &ids).await;
            let come = come.with_context(|| format!("cannot take over users, rows {}", between(&ids)))?;
            left.extend(ids.into_iter().filter(|id| !come.contains_key(id)));
        }
        Ok(left)
    }

    /// Returns the new number of each inserted row.
    async fn import_batch(&self, batch: &[Imported<'_>], ids: &[i64]) -> Result<HashMap<i64, i64>> {
        let insert = "
            INSERT INTO users_v2 (username, username_key, password, password_key, password_binding, mfa, mfa_key, mfa_binding,
                                  gendate, expired, expired_since, imported_from, state, origin, created_at, updated_at)
            SELECT n.*, $13, $14, to_timestamp($15::bigint) AT TIME ZONE 'UTC', to_timestamp($15::bigint) AT TIME ZONE 'UTC'
            FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                        $9::bigint[], $10::bool[], $11::bigint[], $12::bigint[]) AS n
            ON CONFLICT DO NOTHING
            RETURNING imported_from, id::bigint";
        let (status, now) = (AccountStatus::of_taken_over(), self.now.seconds());
        let imports = || batch.iter().map(|(import, _)| *import);
        let names: Vec<_> = imports().map(|import| import.username).collect();
        let keys: Vec<_> = imports().map(|import| import.sameness_key.as_deref()).collect();
        let passwords: Columns<'_> = batch.iter().map(|(_, (password, _))| Some(password)).collect();
        let factors: Columns<'_> = batch.iter().map(|(_, (_, factor))| factor.as_ref()).collect();
        let issued_at: Vec<_> = imports().map(|import| import.gendate).collect();
        let expired: Vec<_> = imports().map(|import| import.expired || import.must_change).collect();
        let since: Vec<_> = imports().map(|import| import.must_change.then_some(now)).collect();
        let (state, origin) = (status.state.as_str(), status.origin.as_str());
        let rows: [&(dyn ToSql + Sync); 15] = [
            &names,
            &keys,
            &passwords.tokens,
            &passwords.keys,
            &passwords.bindings,
            &factors.tokens,
            &factors.keys,
            &factors.bindings,
            &issued_at,
            &expired,
            &since,
            &ids,
            &state,
            &origin,
            &now,
        ];
        let come = self.transaction.query(insert, &rows).await.map_err(refused)?;
        let come: HashMap<i64, i64> = come.iter().map(|row| (row.get(0), row.get(1))).collect();
        self.add_macs_and_history(batch, &come).await?;
        Ok(come)
    }

    /// Adds what a new row needs besides: the MAC of its status, its password in the history, an audit row.
    async fn add_macs_and_history(&self, batch: &[Imported<'_>], come: &HashMap<i64, i64>) -> Result<()> {
        let (status, now) = (AccountStatus::of_taken_over(), self.now.seconds());
        let (mut ids, mut names, mut bound, mut past) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (import, (password, _)) in batch {
            let Some(&id) = come.get(&import.id) else { continue };
            ids.push(id);
            names.push(import.username);
            bound.push(status.mac_for(AccountId(id), import.username, self.keyring));
            if password.mac().is_some() {
                let context = SecretColumn::PastPassword.of(import.username);
                let is_expired = import.expired || import.must_change;
                past.push((id, self.keyring.seal_for_history(password, context), import.gendate, is_expired));
            }
        }
        let bind = "UPDATE users_v2 u SET standing_key = $1, standing_binding = n.bound
                    FROM unnest($2::bigint[], $3::text[]) AS n (id, bound) WHERE u.id = n.id";
        let bound: Vec<_> = bound.iter().map(RowMac::as_str).collect();
        self.execute(bind, &[&self.keyring.first_id().as_str(), &ids, &bound]).await?;
        let history = "
            INSERT INTO password_history_v2 (user_id, password, password_key, password_binding, gendate, expired, created_at)
            SELECT n.*, to_timestamp($7::bigint) AT TIME ZONE 'UTC'
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bool[]) AS n";
        let secrets: Columns<'_> = past.iter().map(|(_, secret, ..)| Some(secret)).collect();
        let owners: Vec<_> = past.iter().map(|(id, ..)| *id).collect();
        let issued_at: Vec<_> = past.iter().map(|(_, _, birth, _)| *birth).collect();
        let expired: Vec<_> = past.iter().map(|(.., is_expired)| *is_expired).collect();
        let rows: [&(dyn ToSql + Sync); 7] =
            [&owners, &secrets.tokens, &secrets.keys, &secrets.bindings, &issued_at, &expired, &now];
        self.execute(history, &rows).await?;
        let audit = "
            INSERT INTO auth_logs_v2 (user_id, action, success, details, created_at)
            SELECT n.id, 'account_imported', TRUE, jsonb_build_object('username', n.name, 'known', TRUE),
                   to_timestamp($3::bigint) AT TIME ZONE 'UTC'
            FROM unnest($1::bigint[], $2::text[]) AS n (id, name)";
        self.execute(audit, &[&ids, &names, &now]).await?;
        let renewing = batch.iter().filter(|(import, _)| import.must_change);
        let renewing: Vec<i64> = renewing.filter_map(|(import, _)| come.get(&import.id).copied()).collect();
        self.record_expired(&renewing).await
    }

    /// Marks as expired whoever was taken over and still has a credential from before.
    pub(crate) async fn expire(&self) -> Result<u64> {
        let update = format!("UPDATE users_v2 SET {MARK} $1::bigint WHERE {IS_EXPIRABLE} RETURNING id::bigint");
        let marked = self.transaction.query(&update, &[&self.now.seconds()]).await.map_err(refused)?;
        let ids: Vec<i64> = marked.iter().map(|row| row.get(0)).collect();
        self.record_expired(&ids).await?;
        Ok(ids.len() as u64)
    }

    /// Adds the audit rows of an operator's `expire`.
    async fn record_expired(&self, ids: &[i64]) -> Result<()> {
        let audit = "
            INSERT INTO auth_logs_v2 (user_id, action, success, details, created_at)
            SELECT u.id, 'account_expired', TRUE, jsonb_build_object('username', u.username, 'known', TRUE, 'proof', 'operator'),
                   to_timestamp($2::bigint) AT TIME ZONE 'UTC'
            FROM users_v2 u WHERE u.id = ANY ($1::bigint[])";
        self.execute(audit, &[&ids, &self.now.seconds()]).await.map(|_| ())
    }
}

/// How many accounts [`Writer::expire`] would mark; 0 before the column `imported_from` exists.
pub(crate) async fn count_expirable(client: &Client) -> Result<u64> {
    if !columns(client, "users_v2").await?.iter().any(|column| column == "imported_from") {
        return Ok(0);
    }
    let count = format!("SELECT count(*) FROM users_v2 WHERE {IS_EXPIRABLE}");
    Ok(client.query_one(&count, &[]).await.map_err(refused)?.get::<_, i64>(0).unsigned_abs())
}

fn between(ids: &[i64]) -> String {
    match ids {
        [first, .., last] => format!("{first} to {last}"),
        [one] => one.to_string(),
        [] => "none".to_owned(),
    }
}
