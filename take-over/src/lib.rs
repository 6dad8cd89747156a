//! Takes over what the programs before left: the accounts of API version 1 in the table `users`, and secrets in clear text.
//!
//! First a plan is made from what the tables hold, in any of their shapes; a dry run ends there. Then the plan is carried out in one short
//! transaction. Rows that were taken over once are not looked at again, so that a second run changes nothing.

#![forbid(unsafe_code)]

mod findings;
mod plan;
mod stored_secret;
mod tables;
mod writer;

pub use findings::{Finding, Remark, TakenOver, What};

use anyhow::{Context, Result, bail};
use cofrap_accounts::UnixTime;
use cofrap_crypto::Keyring;
use cofrap_migrations::{catch_up_sequences, refused, with_lock};
use plan::{Plan, latest_plausible};
use rand_core::CryptoRng;
use tables::Tables;
use tokio_postgres::Client;
use writer::{Imported, Writer};

/// The error of a take-over with wrong keys.
pub const WRONG_KEYS: &str = "variable encryption_key: no key of the list opens the stored secrets: give the key of the functions \
                              before as SPIN_VARIABLE_ENCRYPTION_KEY";

/// Who must renew their credentials because of the take-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// Every account of API version 1, at its first complete login.
    Imported,
    /// Nobody who need not anyway.
    Nobody,
}

/// Says what a take-over would do. Nothing is written, and the tables may have any of their shapes.
///
/// # Errors
/// When the database refuses a statement, or a table lacks a column.
pub async fn plan_take_over(client: &Client, keyring: &Keyring, now: UnixTime, expire: Expire) -> Result<TakenOver> {
    let tables = Tables::read(client, latest_plausible(now)).await?;
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

/// Whether keys are registered in the database. If so, all of them must be in the list.
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

/// Encrypts or hashes what is in clear text, and gives the accounts of API version 1 rows in `users_v2`. Their own table is only read.
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
    with_lock(client, async |client| carry_out(client, keyring, rng, now, expire).await).await
}

async fn carry_out(
    client: &mut Client,
    keyring: &Keyring,
    rng: &mut impl CryptoRng,
    now: UnixTime,
    expire: Expire,
) -> Result<TakenOver> {
    // Otherwise a conflict of numbers would look like a conflict of names.
    catch_up_sequences(client).await?;
    let tables = Tables::read(client, latest_plausible(now)).await?;
    let plan = Plan::of(&tables, keyring, now);
    let mut report = plan.report();
    if !has_registered_keys(client, keyring).await? && report.has(Remark::WrongKeys) {
        bail!("{WRONG_KEYS}");
    }
    // Hashing takes a while; nothing is locked yet.
    let protected: Vec<_> = plan.protections.iter().map(|found| (found, found.protect(keyring, rng, now))).collect();
    let imported: Vec<Imported<'_>> =
        plan.imports.iter().map(|import| (import, import.protect(keyring, rng, now))).collect();

    if !plan.protections.is_empty() || !plan.imports.is_empty() {
        // Everything is encrypted under the first key. In a statement of its own, since functions lock this row after an account's.
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
