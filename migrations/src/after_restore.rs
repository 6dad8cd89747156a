//! What a database needs that was restored from a backup, before anybody is let in: nothing that was given before may open anything, and
//! nothing may be given twice.

use crate::error::refused;
use crate::lock::with_lock;
use crate::sequences;
use anyhow::{Context, Result, bail};
use cofrap_accounts::UnixTime;
use serde::Deserialize;
use tokio_postgres::Client;

/// Where the database is: what `installation_here` compares with. `V8__restored.sql` and `place.sql` have the same words.
const PLACE: &str = "concat_ws('/', (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
                               'public.installation'::regclass::oid, current_setting('cluster_name'))";

/// How long a code of RFC 6238 lasts, in seconds.
const STEP: i64 = 30;

/// A dump that is loaded into another server brings transactions of the one before, whose numbers that server has still to give: what is not
/// counted is counted now, and no row has a number that is still to come.
const COUNT_ANEW: &str = "
    DO $$ DECLARE
        horizon int8 := pg_snapshot_xmin(pg_current_snapshot())::text::int8;
        mark int8 := (SELECT r.counted_to FROM public.attempt_rollup r);
    BEGIN
        IF mark > horizon THEN
            INSERT INTO public.attempt_totals AS t (action, route, success, reason, locks, total)
                SELECT a.action, a.route, a.success, a.reason, a.locks, sum(a.attempts)::int8 FROM public.audited_attempts a
                WHERE a.xact_id >= mark GROUP BY 1, 2, 3, 4, 5
                ON CONFLICT ON CONSTRAINT attempt_totals_pkey DO UPDATE SET total = t.total + excluded.total;
            UPDATE public.auth_logs_v2 SET xact_id = NULL WHERE xact_id >= horizon;
            UPDATE public.attempt_rollup SET counted_to = horizon;
        END IF;
    END $$";

/// The highest number of an account: its column is an `integer`.
const HIGHEST_NUMBER: i64 = i32::MAX as i64;

/// What was done.
#[derive(Debug)]
pub struct Treated {
    /// Accounts whose codes up to now count as used.
    pub accounts: u64,
    /// New secrets that waited for their first code, and do so no more.
    pub waiting_secrets: u64,
    /// The first number that a new account may have.
    pub next_number: i64,
    /// Changes that an export of the audit knows of and the database does not, the oldest first.
    pub lost: Vec<Lost>,
}

/// A change that went back with the restoration.
#[derive(Clone, Debug, Deserialize)]
pub struct Lost {
    /// The number of its row in the audit.
    pub id: i64,
    /// When it was made, in seconds since the Unix epoch.
    pub at: i64,
    /// What it was, by the audit's words.
    pub action: String,
    /// Whose name was given.
    pub username: Option<String>,
    /// Whose account it was.
    pub user_id: Option<i64>,
    success: bool,
}

/// What matters when it went back: who may log in with what, or at all.
const CHANGES: [&str; 8] = [
    "account_created",
    "account_disabled",
    "account_enabled",
    "account_expired",
    "2fa_reset",
    "password_generated",
    "2fa_generated",
    "sessions_ended",
];

/// An export of the audit, as the route `audit-log` answers it: one object with `entries`, or several, or entries one after the other.
///
/// # Errors
/// When it is no JSON, or has no entries of the audit.
pub fn read_export(text: &str) -> Result<Vec<Lost>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Part {
        Page { entries: Vec<Lost> },
        Entries(Vec<Lost>),
        Entry(Lost),
    }
    let mut entries = Vec::new();
    for part in serde_json::Deserializer::from_str(text).into_iter::<Part>() {
        match part.context("the export of the audit is not what the route audit-log answers")? {
            Part::Page { entries: page } | Part::Entries(page) => entries.extend(page),
            Part::Entry(entry) => entries.push(entry),
        }
    }
    Ok(entries)
}

/// Whether the database is the one that it says it is: not one that was restored and not treated. True of one that never said.
///
/// # Errors
/// When the database refuses a statement.
pub async fn is_here(client: &Client) -> Result<bool> {
    let asked = format!("SELECT NOT EXISTS (SELECT FROM public.installation i WHERE i.place <> {PLACE})");
    Ok(client.query_one(&asked, &[]).await.map_err(refused)?.get(0))
}

/// Says where the database is, unless it was said before.
pub(crate) async fn settle(client: &Client) -> Result<()> {
    let settle = format!("UPDATE public.installation SET place = {PLACE} WHERE place IS NULL");
    client.batch_execute(&settle).await.map_err(refused)
}

/// Treats a migrated database: its random value is another, so that no session, challenge or renewal token of before opens anything; codes up
/// to now count as used; secrets that waited for their first code are gone, and so is the password before a generation; sequences stand
/// behind what is stored; accounts are numbered on from `skip` numbers further, past any that was given since the backup.
///
/// # Errors
/// When the database refuses, or has not that many numbers left; then nothing was done.
pub async fn after_restore(client: &mut Client, now: UnixTime, skip: u32, export: &[Lost]) -> Result<Treated> {
    with_lock(client, async |client| treat(client, now, skip, export).await).await
}

async fn treat(client: &mut Client, now: UnixTime, skip: u32, export: &[Lost]) -> Result<Treated> {
    sequences::catch_up(client).await?;
    let transaction = client.transaction().await.map_err(refused)?;
    let numbers = transaction
        .query_one(
            "SELECT greatest(max(id), pg_sequence_last_value(pg_get_serial_sequence('public.users_v2', 'id')::regclass), 0)::int8,
                    coalesce((SELECT max(id) FROM public.auth_logs_v2), 0)::int8
             FROM public.users_v2",
            &[],
        )
        .await
        .map_err(refused)?;
    let (highest, last_row): (i64, i64) = (numbers.get(0), numbers.get(1));
    let mut lost: Vec<_> = export
        .iter()
        .filter(|entry| entry.success && entry.id > last_row && CHANGES.contains(&entry.action.as_str()))
        .cloned()
        .collect();
    lost.sort_by_key(|entry| entry.id);
    // What the export saw is past, whatever else was.
    let seen = export.iter().filter_map(|entry| entry.user_id).max().unwrap_or(0);
    let next_number = highest.max(seen) + i64::from(skip) + 1;
    if next_number > HIGHEST_NUMBER {
        bail!("accounts are numbered up to {HIGHEST_NUMBER}, and {highest} is taken: skip fewer than {skip}");
    }
    let renew =
        format!("UPDATE public.installation SET identity = replace(gen_random_uuid()::text, '-', ''), place = {PLACE}");
    transaction.batch_execute(&renew).await.map_err(refused)?;
    transaction.batch_execute(COUNT_ANEW).await.map_err(refused)?;
    let step = now.seconds() / STEP;
    let accounts = transaction
        .execute(
            "UPDATE public.users_v2 SET mfa_last_step = greatest(mfa_last_step, $1) WHERE mfa IS NOT NULL",
            &[&step],
        )
        .await
        .map_err(refused)?;
    let waiting_secrets = transaction
        .execute(
            "UPDATE public.users_v2 SET pending_mfa = NULL, pending_mfa_key = NULL, pending_mfa_binding = NULL, pending_mfa_gendate = NULL
             WHERE pending_mfa IS NOT NULL",
            &[],
        )
        .await
        .map_err(refused)?;
    transaction
        .batch_execute(
            "UPDATE public.users_v2 SET previous_password = NULL, previous_password_key = NULL, previous_password_binding = NULL,
                                        previous_password_ends = NULL
             WHERE previous_password IS NOT NULL",
        )
        .await
        .map_err(refused)?;
    // As a number that was given: a sequence that was never asked counts as one that lags.
    let number = "SELECT setval(pg_get_serial_sequence('public.users_v2', 'id')::regclass,
                                greatest($1::int8 - 1, 1, pg_sequence_last_value(pg_get_serial_sequence('public.users_v2', 'id')::regclass))) + 1";
    let next_number = transaction.query_one(number, &[&next_number]).await.map_err(refused)?.get(0);
    let note = "INSERT INTO public.auth_logs_v2 (action, success, created_at, details)
                VALUES ('database_restored', TRUE, to_timestamp($1::float8) AT TIME ZONE 'UTC',
                        jsonb_build_object('next_number', $2::int8, 'changes_lost', $3::int8))";
    #[expect(clippy::cast_precision_loss, reason = "seconds of this millennium")]
    let seconds = now.seconds() as f64;
    let count = i64::try_from(lost.len()).unwrap_or(i64::MAX);
    transaction.execute(note, &[&seconds, &next_number, &count]).await.map_err(refused)?;
    transaction.commit().await.map_err(refused)?;
    Ok(Treated { accounts, waiting_secrets, next_number, lost })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_pages_or_entries() {
        let entry = r#"{"id": 7, "at": 5, "action": "account_disabled", "username": "michel", "user_id": 1, "success": true, "reason": null}"#;
        for text in [
            format!(r#"{{"entries": [{entry}, {entry}]}}"#),
            format!("{entry}\n{entry}\n"),
            format!("[{entry}, {entry}]"),
            format!(r#"{{"entries": [{entry}]}} {{"entries": [{entry}]}}"#),
        ] {
            assert_eq!(read_export(&text).unwrap().len(), 2, "{text}");
        }
        assert!(read_export("").unwrap().is_empty());
        for text in ["{", "[1]", r#"{"id": 7}"#, "michel was disabled"] {
            assert!(read_export(text).is_err(), "{text}");
        }
    }
}
