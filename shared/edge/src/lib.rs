//! The only crate that knows Spin: requests in, answers out, configuration, database, clock, randomness.
//!
//! [`serve`] is the envelope around every function; the other `serve_*` answer what needs no operation on accounts.

#![forbid(unsafe_code)]

mod body;
mod client_address;
mod config;
mod database_url;
mod headers;
mod operator_settings;
mod pg_store;
mod platform;
mod request_head;
mod send;
mod serve;
mod session_cookie;
mod trace;

pub use client_address::client_address;
pub use config::{ConfigError, ReadKeys, Variables, check_variables};
pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use operator_settings::{OperatorSettings, SettingsError};
pub use pg_store::{CALLS, DbError, Link, ParameterValue, PgError, PgStore, QueryError, SCHEMA_VERSION};
pub use platform::{SystemClock, SystemRng};
pub use serve::{
    SpinEnv, serve, serve_health, serve_key_set, serve_metrics, serve_not_found, serve_openapi, serve_site,
};
pub use zeroize::Zeroizing;
