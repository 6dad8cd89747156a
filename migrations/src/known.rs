//! What the database knows: the operator's token, the keys of stored secrets.

use crate::error::refused;
use anyhow::Result;
use cofrap_accounts::StoredKeys;
use cofrap_crypto::SharedSecret;
use tokio_postgres::Client;

/// Has the database know the operator by this token, whomever it knew before; by none, nobody is one.
///
/// # Errors
/// When the database refuses the statement.
pub async fn know_operator(client: &Client, token: Option<&SharedSecret>) -> Result<()> {
    let know = "UPDATE public.installation
                SET operator_digest = coalesce(encode(sha256(convert_to($1::text, 'UTF8')), 'hex'), 'none')";
    client.execute(know, &[&token.map(SharedSecret::proof)]).await.map_err(refused)?;
    Ok(())
}

/// The keys that stored secrets need; none in a database that was never migrated.
///
/// # Errors
/// When the database refuses a statement.
pub async fn stored_keys(client: &Client) -> Result<StoredKeys> {
    let is_there = "SELECT to_regclass('public.encryption_keys') IS NOT NULL";
    if !client.query_one(is_there, &[]).await.map_err(refused)?.get::<_, bool>(0) {
        return Ok(StoredKeys::default());
    }
    let list = async |query| -> Result<Vec<String>> {
        let rows = client.query(query, &[]).await.map_err(refused)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    };
    Ok(StoredKeys {
        registered: list("SELECT id FROM public.encryption_keys").await?,
        samples: list(
            "SELECT password::text FROM public.users_v2
             WHERE password_key IS NULL AND length(password) >= 100 AND password LIKE 'gAAAAA%' ORDER BY id DESC LIMIT 3",
        )
        .await?,
    })
}
