//! What callers, operators and existing databases can rely on, one file for each function and each journey.

#![forbid(unsafe_code)]

mod audit;
mod authenticate_user_v2;
mod envelope;
mod generate_2fa_v2;
mod generate_password_v2;
mod journey;
mod local_host;
mod not_found;
mod schema;
mod unavailable;
