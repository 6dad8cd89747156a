//! What callers, operators and existing databases can rely on, one file for each function and each journey.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "where a test fails, it panics")]

mod audit;
mod authenticate_user_v2;
mod components;
mod envelope;
mod generate_2fa_v2;
mod generate_password_v2;
mod journey;
mod local_host;
mod names;
mod not_found;
mod races;
mod schema;
mod unavailable;
