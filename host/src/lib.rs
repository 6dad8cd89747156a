//! A local stand-in for Spin: runs the components of a `spin.toml` on wasmtime, with Spin's semantics.
//!
//! It offers what this project's components import and no more: WASI 0.2, `wasi:http`, `spin:postgres@4.0`,
//! `fermyon:spin/variables@2.0`; a manifest that asks for anything else is refused. Where Spin is installed,
//! `spin up` runs the same manifest.

#![forbid(unsafe_code)]
#![expect(clippy::result_large_err, reason = "the size of an error is in its WIT signature")]

mod app;
mod bindings;
mod local_postgres;
mod manifest;
mod names;
mod output;
mod postgres;
mod routes;
mod server;
mod template;
mod variables;

// They are in the options of an application.
pub use cofrap_database::{Authorities, VariableSource};

pub use app::{Ambient, App, Engine, FuelObserver, Measured, Options, RandomSource, ReadObserver, VariableRead};
pub use local_postgres::{LocalPostgres, PostgresHome, postgres_program};
pub use manifest::Manifest;
pub use output::OutputSink;
pub use server::serve;
pub use variables::read_dotenv;
