//! Errors of the database.

use anyhow::anyhow;

/// The database's error without the row that it mentions.
#[must_use]
pub fn refused(error: tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(cause) => anyhow!("{} {}", cause.code().code(), cause.message()),
        None => anyhow!(error),
    }
}
