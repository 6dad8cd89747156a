//! The keys by which names are compared in one case. SQL cannot make them: its `lower` depends on the locale.

use crate::refused;
use anyhow::{Context, Result};
use cofrap_accounts::case_key;
use std::collections::HashSet;
use tokio_postgres::Client;

/// Rows that are read and written at once.
const BATCH: i64 = 5_000;

/// Gives every row without a `username_key` its key, the oldest first; of a pair, the other has none. How many were given one.
pub(crate) async fn fill(client: &Client, progress: impl Fn(&str)) -> Result<u64> {
    let (mut after, mut named) = (0_i64, 0);
    loop {
        let rows = client
            .query(
                "SELECT id::bigint, username FROM public.users_v2 WHERE username_key IS NULL AND id > $1::bigint
                 ORDER BY id LIMIT $2",
                &[&after, &BATCH],
            )
            .await
            .map_err(refused)
            .context("cannot read the names")?;
        let Some(last) = rows.last() else { return Ok(named) };
        after = last.get(0);
        let mut seen = HashSet::new();
        let (ids, keys): (Vec<i64>, Vec<String>) = rows
            .iter()
            .map(|row| (row.get::<_, i64>(0), case_key(row.get(1))))
            .filter(|(_, key)| seen.insert(key.clone()))
            .unzip();
        named += client
            .execute(
                "UPDATE public.users_v2 u SET username_key = n.key FROM unnest($1::bigint[], $2::text[]) AS n (id, key)
                 WHERE u.id = n.id AND u.username_key IS NULL
                       AND NOT EXISTS (SELECT FROM public.users_v2 taken WHERE taken.username_key = n.key)",
                &[&ids, &keys],
            )
            .await
            .map_err(refused)
            .context("cannot fill username_key")?;
        if named > 0 && i64::try_from(rows.len()) == Ok(BATCH) {
            progress(&format!("names given the key by which they are compared: {named}"));
        }
    }
}
