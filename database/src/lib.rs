//! A PostgreSQL of somebody's, as commands reach it: its URL, TLS, and what is done there before functions serve.

#![forbid(unsafe_code)]

mod address;
mod arguments;
mod database;
mod findings;
mod link;
mod maintained;
mod restored;
mod say;
mod tls;
mod variables;

pub use address::Address;
pub use arguments::{DATABASE, DatabaseArgs};
pub use database::{Database, operator_token, random_key};
pub use link::Parameter;
pub use restored::Treatment;
pub use say::say;
pub use tls::Authorities;
pub use variables::{PREFIX, VariableSource, database_variables, from_environment, named_variables};
