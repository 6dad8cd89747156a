//! A PostgreSQL of somebody's, as commands reach it: its URL, TLS, and what is done there before functions serve.

#![forbid(unsafe_code)]

mod address;
mod arguments;
mod database;
mod findings;
mod link;
mod maintained;
mod restored;
mod tls;
mod variables;

pub use address::Address;
pub use arguments::{DATABASE, DatabaseArgs};
pub use database::{Database, operator_token, random_key};
pub use link::Parameter;
pub use restored::Treatment;
pub use tls::Authorities;
pub use variables::{PREFIX, VariableSource, database_variables, from_environment, named_variables};

use std::io::Write;

/// Says what is being done, on standard error as Cargo does.
pub fn say(what: &str) {
    // Whoever read it may have left; the work goes on.
    let _ = writeln!(std::io::stderr(), "==> {what}");
}
