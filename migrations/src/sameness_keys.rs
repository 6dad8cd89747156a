//! The keys by which names are compared: SQL cannot make them, it knows Unicode's tables as its locale has them.

use crate::error::refused;
use anyhow::{Context, Result};
use cofrap_accounts::sameness_key;
use std::collections::HashSet;
use tokio_postgres::{Client, Row};

/// Rows that are read and written at once.
const BATCH: i64 = 5_000;

/// What makes the keys: a word for each way that there ever was.
const SAMENESS: &str = "NFKC_Casefold";

/// Takes the key from every row that has one made in another way and would have another now: [`fill`] gives it that. Rows that were looked at
/// before are not looked at again.
pub(crate) async fn forget_former(client: &Client, progress: impl Fn(&str)) -> Result<()> {
    let looked_at = "SELECT CASE WHEN sameness = $1 THEN sameness_up_to ELSE 0 END FROM public.installation";
    let mut after: i64 = client.query_one(looked_at, &[&SAMENESS]).await.map_err(refused)?.get(0);
    let mut count = 0;
    loop {
        let page =
            "SELECT id::bigint, username, username_key FROM public.users_v2 WHERE id > $1::bigint ORDER BY id LIMIT $2";
        let rows = client.query(page, &[&after, &BATCH]).await.map_err(refused).context("cannot read the names")?;
        let Some(last) = rows.last() else { break };
        after = last.get(0);
        let has_another = |row: &&Row| row.get::<_, Option<&str>>(2).is_some_and(|key| sameness_key(row.get(1)) != key);
        let changed: Vec<i64> = rows.iter().filter(has_another).map(|row| row.get(0)).collect();
        let forget = "UPDATE public.users_v2 SET username_key = NULL WHERE id = ANY ($1::bigint[])";
        client.execute(forget, &[&changed]).await.map_err(refused).context("cannot empty username_key")?;
        count += rows.len();
        if i64::try_from(rows.len()) == Ok(BATCH) {
            progress(&format!("names compared in another way from now on: {count} looked at"));
        }
    }
    if count == 0 {
        return Ok(());
    }
    let kept = "UPDATE public.installation SET sameness = $1, sameness_up_to = $2";
    client.execute(kept, &[&SAMENESS, &after]).await.map_err(refused)?;
    Ok(())
}

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
            .map(|row| (row.get::<_, i64>(0), sameness_key(row.get(1))))
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
