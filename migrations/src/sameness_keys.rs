//! The keys by which names are compared: SQL cannot make them, it knows Unicode's tables as its locale has them.

use crate::refused;
use anyhow::{Context, Result};
use cofrap_accounts::sameness_key;
use std::collections::HashSet;
use tokio_postgres::{Client, Row};

/// Rows that are read and written at once.
const BATCH: i64 = 5_000;

/// What makes the keys: a word for each way that there ever was.
const SAMENESS: &str = "NFKC_Casefold";

/// Takes the key from every row that has one made in another way and would have another now: [`fill`] gives it that. Once, and as long as
/// components of versions before make more of them.
pub(crate) async fn forget_former(client: &Client, has_former: bool, progress: impl Fn(&str)) -> Result<()> {
    let is_ours = "SELECT sameness IS NOT DISTINCT FROM $1 FROM public.installation";
    if !has_former && client.query_one(is_ours, &[&SAMENESS]).await.map_err(refused)?.get(0) {
        return Ok(());
    }
    let (mut after, mut looked_at) = (0_i64, 0);
    loop {
        let page = "SELECT id::bigint, username, username_key FROM public.users_v2
                    WHERE username_key IS NOT NULL AND id > $1::bigint ORDER BY id LIMIT $2";
        let rows = client.query(page, &[&after, &BATCH]).await.map_err(refused).context("cannot read the names")?;
        let Some(last) = rows.last() else { break };
        after = last.get(0);
        let has_another = |row: &&Row| sameness_key(row.get(1)) != row.get::<_, &str>(2);
        let changed: Vec<i64> = rows.iter().filter(has_another).map(|row| row.get(0)).collect();
        let forget = "UPDATE public.users_v2 SET username_key = NULL WHERE id = ANY ($1::bigint[])";
        client.execute(forget, &[&changed]).await.map_err(refused).context("cannot empty username_key")?;
        looked_at += rows.len();
        progress(&format!("names compared in another way from now on: {looked_at} looked at"));
    }
    client.execute("UPDATE public.installation SET sameness = $1", &[&SAMENESS]).await.map_err(refused)?;
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
