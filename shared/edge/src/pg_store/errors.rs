//! What is logged of a database error: its class and SQLSTATE, never a value; the server's message only if it is about the server
//! or the schema.
//!
//! The platform's own texts can hold parts of the address, values of a row, and with `RUST_BACKTRACE` a trace of the stack.

use cofrap_accounts::StoreError;
use spin_sdk::pg4::{PgError, QueryError};

/// PostgreSQL's appendix A: `undefined_table`, `undefined_column`, `invalid_schema_name`, `undefined_function`.
const NOT_MIGRATED: [&str; 4] = ["42P01", "42703", "3F000", "42883"];

/// Classes of SQLSTATE whose messages speak of the server, a role or the schema, not of what is stored: connection, privileges and
/// logins, state of the transaction, names, resources, limits, intervention, system.
const SPEAKING: [&str; 10] = ["08", "25", "28", "3D", "3F", "42", "53", "54", "57", "58"];

/// What a text of the platform says of a connection that failed. It has the server's message, which is not repeated, and no
/// SQLSTATE; the first that stands in it counts.
const CLASSES: [(&str, &str); 17] = [
    ("is not permitted to log in", "SQLSTATE 28000, invalid_authorization_specification"),
    ("is not permitted", "database_host does not permit the host that database_url names"),
    ("password authentication failed", "SQLSTATE 28P01, invalid_password"),
    ("no pg_hba.conf entry", "SQLSTATE 28000, invalid_authorization_specification"),
    ("too many c", "SQLSTATE 53300, too_many_connections"),
    ("remaining connection slots", "SQLSTATE 53300, too_many_connections"),
    ("the database system is", "SQLSTATE 57P03, cannot_connect_now"),
    ("is not currently accepting connections", "SQLSTATE 55000, the database takes no connections"),
    ("does not exist", "SQLSTATE 3D000 or 28000, no such database or role"),
    ("does not support TLS", "TLS: the server has none"),
    ("ertificate", "TLS: the certificate does not hold"),
    ("TLS", "TLS"),
    ("refused", "refused"),
    ("timed out", "timed out"),
    ("imeout", "timed out"),
    ("lookup address", "the host's name has no address"),
    ("losed", "closed"),
];

/// The store's error for a failed statement.
pub(super) fn failed(error: PgError) -> StoreError {
    StoreError::Unavailable(match error {
        PgError::ConnectionFailed(text) => format!("connection failed: {}", class_of(&text)),
        PgError::QueryFailed(QueryError::Text(text)) => format!("query failed: {}", class_of(&text)),
        PgError::QueryFailed(QueryError::DbError(cause)) => {
            if NOT_MIGRATED.contains(&cause.code.as_str()) {
                return StoreError::SchemaMissing(cause.message);
            }
            let is_speaking = cause.code.get(..2).is_some_and(|class| SPEAKING.contains(&class));
            if is_speaking { format!("{} {}", cause.code, cause.message) } else { cause.code }
        }
        PgError::BadParameter(_) | PgError::ValueConversionFailed(_) => "the platform refused a parameter".to_owned(),
        PgError::Other(_) => "the platform refused: is database_host host:port?".to_owned(),
    })
}

/// Whether a sent statement may have been carried out: the connection was lost before the server's answer.
pub(super) fn is_outcome_unknown(error: &PgError) -> bool {
    // What the server says in the driver's words is of that kind; then nothing was done.
    matches!(error, PgError::QueryFailed(QueryError::Text(text)) if !text.contains("kind: Db") && !text.starts_with("db error"))
}

/// Whether the connection broke, so that a new one may succeed.
pub(super) fn is_broken(error: &PgError) -> bool {
    match error {
        // Operator intervention, the end of an idle session (57P05) among it.
        PgError::QueryFailed(QueryError::DbError(cause)) => cause.code.starts_with("57P"),
        PgError::QueryFailed(QueryError::Text(_)) => true,
        _ => false,
    }
}

fn class_of(text: &str) -> &'static str {
    CLASSES.iter().find(|(word, _)| text.contains(word)).map_or("no class is known", |(_, class)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_connection(text: &str) -> String {
        failed(PgError::ConnectionFailed(text.to_owned())).to_string()
    }

    #[test]
    fn of_a_failed_connection_only_the_class_and_the_sqlstate_are_said() {
        for (text, class) in [
            (
                "Error occurred while creating a new object: db error: FATAL: password authentication failed for user \
                 \"canary\"\n\nCaused by:\n    0: db error: FATAL: ...\n\nStack backtrace:\n 0: canary",
                "SQLSTATE 28P01, invalid_password",
            ),
            ("db error: FATAL: too many connections for role \"canary\"", "SQLSTATE 53300, too_many_connections"),
            ("db error: FATAL: sorry, too many clients already", "SQLSTATE 53300, too_many_connections"),
            (
                "db error: FATAL: database \"canary\" does not exist",
                "SQLSTATE 3D000 or 28000, no such database or role",
            ),
            ("error performing TLS handshake: server does not support TLS", "TLS: the server has none"),
            (
                "error connecting to server: Connection refused (os error 111)\n\nStack backtrace:\n 0: canary",
                "refused",
            ),
            ("Timeout occurred while creating canary", "timed out"),
            ("failed to lookup address information: canary", "the host's name has no address"),
            ("invalid configuration: canary", "no class is known"),
            (
                "address postgres://canary:1 is not permitted",
                "database_host does not permit the host that database_url names",
            ),
        ] {
            assert_eq!(of_connection(text), format!("database: connection failed: {class}"));
        }
    }

    #[test]
    fn a_lost_connection_leaves_the_outcome_unknown_and_a_server_s_error_does_not() {
        let of = |text: &str| is_outcome_unknown(&PgError::QueryFailed(QueryError::Text(text.to_owned())));
        assert!(of("Error { kind: Closed, cause: None }") && of("Error { kind: Io, cause: Some(canary) }"));
        assert!(!of("Error { kind: Db, cause: Some(DbError { severity: \"ERROR\", code: SqlState(E57014) }) }"));
        assert!(!is_outcome_unknown(&PgError::ConnectionFailed("refused".to_owned())));
    }

    #[test]
    fn a_statement_s_text_is_never_said_whole() {
        let error = failed(PgError::QueryFailed(QueryError::Text("row contains (canary)".to_owned())));
        assert_eq!(error.to_string(), "database: query failed: no class is known");
    }
}
