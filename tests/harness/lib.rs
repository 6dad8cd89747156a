//! What acceptance tests stand on: the production `.wasm` on a real PostgreSQL, one database for each test; only the
//! guest's clock is ours.

#![forbid(unsafe_code)]
#![expect(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "where a test fails, its harness panics")]

mod answer;
mod app;
mod browser;
mod caseless;
mod checkout;
mod clock;
mod database;
mod folder;
mod functions;
mod language;
mod manifest;
mod openapi;
mod person;
mod probe;
mod prometheus;
mod proxy;
mod qr;
mod registry;
mod settings;
mod view;
mod wire;

pub use answer::{Answer, Success};
pub use app::{ADMIN_TOKEN, CHOSEN_PASSWORD, KEY, TestApp};
pub use browser::Browser;
pub use caseless::caseless;
pub use checkout::checkout;
pub use clock::{STEP, TestClock, now_at_start};
pub use database::{Database, TestServer};
pub use folder::{Folder, xtask};
pub use language::Language;
pub use manifest::{component_files, granted_variables, routes};
pub use person::Person;
pub use probe::{Probe, exchange};
pub use prometheus::Prometheus;
pub use proxy::Proxy;
pub use qr::read_qr_png;
pub use registry::Registry;
pub use settings::Settings;
pub use wire::Wire;

/// Seconds that a password or a second factor may be old.
pub const MAX_AGE: i64 = 15_768_000;
