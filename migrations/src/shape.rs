//! The shape of the tables that other programs made: migrations add to them, and cannot mend them.

use crate::error::refused;
use anyhow::{Result, bail};
use tokio_postgres::Client;

/// Columns that the functions read and write, with the category of their type: `typcategory` of `pg_type`.
const COLUMNS: [(&str, &str, &str); 21] = [
    ("users_v2", "id", "N"),
    ("users_v2", "username", "S"),
    ("users_v2", "password", "S"),
    ("users_v2", "mfa", "S"),
    ("users_v2", "gendate", "N"),
    ("users_v2", "expired", "B"),
    ("users_v2", "updated_at", "D"),
    ("password_history_v2", "id", "N"),
    ("password_history_v2", "user_id", "N"),
    ("password_history_v2", "password", "S"),
    ("password_history_v2", "gendate", "N"),
    ("password_history_v2", "expired", "B"),
    ("password_history_v2", "created_at", "D"),
    ("auth_logs_v2", "id", "N"),
    ("auth_logs_v2", "user_id", "N"),
    ("auth_logs_v2", "action", "S"),
    ("auth_logs_v2", "ip_address", "I"),
    ("auth_logs_v2", "user_agent", "S"),
    ("auth_logs_v2", "success", "B"),
    ("auth_logs_v2", "details", "U"),
    ("auth_logs_v2", "created_at", "D"),
];

/// Refuses tables in which nobody could log in.
pub(crate) async fn check(client: &Client) -> Result<()> {
    let rows = client
        .query(
            "SELECT c.relname::text, a.attname::text, t.typcategory::text
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
             WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped",
            &[],
        )
        .await
        .map_err(refused)?;
    for (table, column, category) in COLUMNS {
        let is_it = |row: &tokio_postgres::Row| row.get::<_, &str>(0) == table && row.get::<_, &str>(1) == column;
        match rows.iter().find(|row| is_it(row)) {
            Some(row) if row.get::<_, &str>(2) == category => {}
            Some(_) => bail!("{table}.{column} has not the type of the specification: nobody could log in"),
            None => bail!("{table}.{column} of the specification is not there: nobody could log in"),
        }
    }
    Ok(())
}
