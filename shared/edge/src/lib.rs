//! The only crate that knows Spin: requests in, answers out, configuration, database, clock, randomness.
//!
//! [`serve`] is the envelope around every function; [`serve_not_found`] answers the paths that no function has.

#![forbid(unsafe_code)]

mod arrival;
mod body;
mod config;
mod pg_store;
mod platform;
mod serve;

pub use pg_store::{PgStore, STATEMENTS};
pub use platform::{SystemClock, SystemRng};
pub use serve::{SpinEnv, serve, serve_not_found};
