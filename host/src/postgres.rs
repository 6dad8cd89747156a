//! Outbound Postgres, as Spin's host does it: one pool for each component and exact address, of at most 64 connections
//! that are cleaned when they are taken again.

use crate::bindings::spin::postgres::postgres::{
    Column, DbDataType, DbError, DbValue, Error, ParameterValue, QueryError, RowSet,
};
use cofrap_database::Authorities;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::Mutex;
use tokio_postgres::config::Host;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Config, Row};

const POOL_SIZE: usize = 64;

/// What a component's connection handle stands for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Connection {
    client: Object,
}

/// One component's way out.
pub(crate) struct OutboundPostgres {
    allowed: Vec<AllowedHost>,
    authorities: Authorities,
    pools: Mutex<HashMap<String, Pool>>,
}

/// `postgres://host:port`; the host may be `*`, the port `*` or none: then it is 5432.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AllowedHost {
    host: String,
    port: String,
}

impl AllowedHost {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let Some(rest) = text.trim().strip_prefix("postgres://") else {
            anyhow::bail!("allowed_outbound_hosts: `{text}`: this host offers postgres://host:port alone");
        };
        let (host, port) = rest.rsplit_once(':').unwrap_or((rest, "5432"));
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host != "*" && (host.is_empty() || !host.chars().all(is_of_a_name)) {
            anyhow::bail!(
                "allowed_outbound_hosts: `{text}`: write one name or IPv4 address (Spin permits no IPv6 address)"
            );
        }
        if port != "*" && port.parse::<u16>().is_err() {
            anyhow::bail!("allowed_outbound_hosts: `{text}`: write the port as a number");
        }
        Ok(Self { host: host.to_owned(), port: port.to_owned() })
    }

    fn allows(&self, host: &str, port: &str) -> bool {
        (self.host == "*" || self.host.eq_ignore_ascii_case(host)) && (self.port == "*" || self.port == port)
    }
}

impl OutboundPostgres {
    pub(crate) fn new(allowed_outbound_hosts: &[String], authorities: &Authorities) -> anyhow::Result<Self> {
        let allowed = allowed_outbound_hosts.iter().map(|text| AllowedHost::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self { allowed, authorities: authorities.clone(), pools: Mutex::default() })
    }

    pub(crate) async fn open(&self, address: &str) -> Result<Connection, Error> {
        let config: Config =
            address.parse().map_err(|error: tokio_postgres::Error| Error::ConnectionFailed(error.to_string()))?;
        self.check_allowed(&config)?;
        // Spin's words: its error wraps the pool's.
        let failed = |error| Error::ConnectionFailed(format!("{:?}", anyhow::Error::from(error)));
        let client = self.pool(address, config)?.get().await.map_err(failed)?;
        Ok(Connection { client })
    }

    fn check_allowed(&self, config: &Config) -> Result<(), Error> {
        if !config.get_hostaddrs().is_empty() {
            return Err(Error::ConnectionFailed("hostaddr is not permitted: it goes past the host".into()));
        }
        let ports = config.get_ports();
        for (index, host) in config.get_hosts().iter().enumerate() {
            let Host::Tcp(host) = host else {
                return Err(Error::ConnectionFailed("Unix sockets are not supported on WebAssembly".into()));
            };
            let port = ports.get(index).or(ports.first()).map_or_else(|| "5432".to_owned(), ToString::to_string);
            if !self.allowed.iter().any(|allowed| allowed.allows(host, &port)) {
                return Err(Error::ConnectionFailed(format!("address postgres://{host}:{port} is not permitted")));
            }
        }
        Ok(())
    }

    fn pool(&self, address: &str, config: Config) -> Result<Pool, Error> {
        let mut pools = self.pools.lock().expect("nothing panics while it holds the pools");
        if let Some(pool) = pools.get(address) {
            return Ok(pool.clone());
        }
        let connector = self.authorities.connector().map_err(|error| Error::ConnectionFailed(format!("{error:?}")))?;
        let cleaned = ManagerConfig { recycling_method: RecyclingMethod::Clean };
        let manager = Manager::from_config(config, connector, cleaned);
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .build()
            .map_err(|error| Error::ConnectionFailed(format!("{error:?}")))?;
        pools.insert(address.to_owned(), pool.clone());
        Ok(pool)
    }
}

impl Connection {
    pub(crate) async fn query(&self, statement: &str, parameters: &[ParameterValue]) -> Result<RowSet, Error> {
        let parameters = parameters.iter().map(to_sql).collect::<Result<Vec<_>, _>>().map_err(Error::BadParameter)?;
        let rows = self.client.as_ref().query(statement, &borrowed(&parameters)).await.map_err(query_failed)?;
        // Rows carry the column list; without a row there is none.
        let columns = rows.first().map(columns).unwrap_or_default();
        let rows = rows
            .iter()
            .map(|row| (0..row.len()).map(|index| from_sql(row, index)).collect())
            .collect::<Result<_, _>>()
            .map_err(|error| Error::QueryFailed(QueryError::Text(error)))?;
        Ok(RowSet { columns, rows })
    }

    pub(crate) async fn execute(&self, statement: &str, parameters: &[ParameterValue]) -> Result<u64, Error> {
        let parameters =
            parameters.iter().map(to_sql).collect::<Result<Vec<_>, _>>().map_err(Error::ValueConversionFailed)?;
        self.client.as_ref().execute(statement, &borrowed(&parameters)).await.map_err(query_failed)
    }
}

type Parameter = Box<dyn ToSql + Send + Sync>;

fn borrowed(parameters: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|parameter| parameter.as_ref() as &(dyn ToSql + Sync)).collect()
}

fn to_sql(value: &ParameterValue) -> Result<Parameter, String> {
    Ok(match value {
        ParameterValue::Boolean(value) => Box::new(*value),
        ParameterValue::Int8(value) => Box::new(*value),
        ParameterValue::Int16(value) => Box::new(*value),
        ParameterValue::Int32(value) => Box::new(*value),
        ParameterValue::Int64(value) => Box::new(*value),
        ParameterValue::Floating32(value) => Box::new(*value),
        ParameterValue::Floating64(value) => Box::new(*value),
        ParameterValue::Str(value) => Box::new(value.clone()),
        ParameterValue::Binary(value) => Box::new(value.clone()),
        ParameterValue::ArrayInt32(values) => Box::new(values.clone()),
        ParameterValue::ArrayInt64(values) => Box::new(values.clone()),
        ParameterValue::ArrayStr(values) => Box::new(values.clone()),
        ParameterValue::DbNull => Box::new(Null),
        other => return Err(format!("the local host does not offer this parameter: {other:?}")),
    })
}

fn columns(row: &Row) -> Vec<Column> {
    row.columns()
        .iter()
        .map(|column| Column { name: column.name().to_owned(), data_type: data_type(column.type_()) })
        .collect()
}

fn data_type(of: &Type) -> DbDataType {
    match *of {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        _ => DbDataType::Other(of.name().to_owned()),
    }
}

fn from_sql(row: &Row, index: usize) -> Result<DbValue, String> {
    match *row.columns()[index].type_() {
        Type::BOOL => value(row, index, DbValue::Boolean),
        Type::BYTEA => value(row, index, DbValue::Binary),
        Type::FLOAT4 => value(row, index, DbValue::Floating32),
        Type::FLOAT8 => value(row, index, DbValue::Floating64),
        Type::INT2 => value(row, index, DbValue::Int16),
        Type::INT4 => value(row, index, DbValue::Int32),
        Type::INT8 => value(row, index, DbValue::Int64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => value(row, index, DbValue::Str),
        Type::INT4_ARRAY => value(row, index, DbValue::ArrayInt32),
        Type::INT8_ARRAY => value(row, index, DbValue::ArrayInt64),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => value(row, index, DbValue::ArrayStr),
        Type::TIMESTAMPTZ => {
            Err("a timestamptz cannot be read: Spin fails too; read extract(epoch from ...)".to_owned())
        }
        Type::TIMESTAMP | Type::DATE | Type::TIME | Type::INTERVAL | Type::UUID | Type::JSONB | Type::NUMERIC => {
            Err(format!("the local host does not offer {}: cast it to text", row.columns()[index].type_().name()))
        }
        _ => value(row, index, |Raw(bytes)| DbValue::Unsupported(bytes)),
    }
}

fn value<'a, T: FromSql<'a>>(row: &'a Row, index: usize, wrap: impl Fn(T) -> DbValue) -> Result<DbValue, String> {
    let value: Option<T> = row.try_get(index).map_err(|error| error.to_string())?;
    Ok(value.map_or(DbValue::DbNull, wrap))
}

/// NULL for a parameter of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The wire bytes of a type that Spin does not know: inet, json, enum, uuid[] and the like.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(bytes.to_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn query_failed(error: tokio_postgres::Error) -> Error {
    let as_text = format!("{error:?}");
    Error::QueryFailed(match error.as_db_error() {
        None => QueryError::Text(as_text),
        Some(cause) => QueryError::DbError(DbError {
            as_text,
            severity: cause.severity().to_owned(),
            code: cause.code().code().to_owned(),
            message: cause.message().to_owned(),
            detail: cause.detail().map(ToOwned::to_owned),
            extras: extras(cause),
        }),
    })
}

fn extras(cause: &tokio_postgres::error::DbError) -> Vec<(String, String)> {
    let line = cause.line().map(|line| line.to_string());
    [
        ("column", cause.column()),
        ("constraint", cause.constraint()),
        ("routine", cause.routine()),
        ("hint", cause.hint()),
        ("table", cause.table()),
        ("datatype", cause.datatype()),
        ("schema", cause.schema()),
        ("file", cause.file()),
        ("line", line.as_deref()),
        ("where_", cause.where_()),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name.to_owned(), value.to_owned())))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_postgres_hosts_can_be_allowed() {
        assert!(AllowedHost::parse("postgres://db:5432").unwrap().allows("db", "5432"));
        assert!(AllowedHost::parse("postgres://*:5432").unwrap().allows("anything", "5432"));
        assert!(AllowedHost::parse("postgres://db").unwrap().allows("db", "5432"));
        for refused in
            ["https://example.org", "postgres://[::1]:5432", "postgres://db:port", "*://*:*", "postgres://:5432"]
        {
            assert!(AllowedHost::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn another_address_than_the_allowed_one_is_not_permitted() {
        let out = OutboundPostgres::new(&["postgres://db:5432".into()], &Authorities::default()).unwrap();
        let check = |address: &str| {
            out.check_allowed(&address.parse().unwrap()).map_err(|error| match error {
                Error::ConnectionFailed(text) => text,
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(check("host=db port=5432"), Ok(()));
        assert_eq!(check("host=db"), Ok(()));
        assert_eq!(check("host=db port=5433"), Err("address postgres://db:5433 is not permitted".into()));
        assert_eq!(check("host=db,evil port=5432"), Err("address postgres://evil:5432 is not permitted".into()));
        assert!(check("host=/var/run/postgresql").is_err());
        assert!(check("host=db port=5432 hostaddr=203.0.113.7").is_err());
    }
}
