//! The functions' store over a client of this program's own.

use cofrap_edge::{DbError, Link, ParameterValue, PgError, QueryError};
use tokio::runtime::Handle;
use tokio_postgres::Client;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// A client whose calls wait where they are: on a thread that may block, while the runtime goes on elsewhere.
pub(crate) struct ClientLink {
    pub(crate) client: Client,
    pub(crate) runtime: Handle,
}

impl Link for ClientLink {
    fn ask(&self, text: &'static str, parameters: &[ParameterValue]) -> Result<String, PgError> {
        let parameters: Vec<_> = parameters.iter().map(Parameter).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> =
            parameters.iter().map(|parameter| parameter as &(dyn ToSql + Sync)).collect();
        let row = self.runtime.block_on(self.client.query_one(text, &parameters));
        row.and_then(|row| row.try_get(0)).map_err(|error| match error.as_db_error() {
            Some(cause) => PgError::QueryFailed(QueryError::DbError(DbError {
                as_text: String::new(),
                severity: cause.severity().to_owned(),
                code: cause.code().code().to_owned(),
                message: cause.message().to_owned(),
                detail: None,
                extras: Vec::new(),
            })),
            None => PgError::QueryFailed(QueryError::Text(error.to_string())),
        })
    }
}

/// A parameter as the functions give it.
#[derive(Debug)]
pub struct Parameter<'a>(pub &'a ParameterValue);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            ParameterValue::Boolean(value) => value.to_sql_checked(kind, out),
            ParameterValue::Int64(value) => value.to_sql_checked(kind, out),
            ParameterValue::Str(value) => value.to_sql_checked(kind, out),
            // One that may be absent is a text or a number, and PostgreSQL knows which.
            _ => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
