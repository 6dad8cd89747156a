//! The store in PostgreSQL: each method is one call of one function of the database, which is one transaction.
//!
//! A request makes at most two calls: one that reads, then one that writes. A reading call is repeated once if its connection is broken. A
//! writing call is not: it may have been carried out.

// On 32 bits, where it ships, it is below the lint's limit.
#![cfg_attr(
    target_pointer_width = "64",
    expect(clippy::result_large_err, reason = "the size of an error is in its WIT signature")
)]

mod accounts;
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "parameters are named where they are declared, in the functions' files"
)]
mod calls;
mod client;
mod errors;
mod maintenance;
mod observation;
mod operator;
mod parameters;
mod rows;
mod sessions;

pub use calls::{CALLS, SCHEMA_VERSION};
pub(crate) use client::release_connection;
pub use client::{Link, PgStore};
pub use spin_sdk::pg4::{DbError, ParameterValue, PgError, QueryError};
