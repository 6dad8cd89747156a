//! The JSON contract: one file per route, each with its path, its request and its response; [`Problem`] is what every
//! route answers when it does not.
//!
//! Requests become the domain's commands here, field by field; from then on nothing asks again whether a name is valid.

#![forbid(unsafe_code)]

pub mod activity;
pub mod administer_account;
pub mod audit_log;
pub mod authenticate_user_v2;
pub mod authentication;
pub mod create_account_secure;
mod endpoint;
mod field;
pub mod frontend;
pub mod generate_mfa;
pub mod generate_mfa_v2;
pub mod generate_password;
pub mod generate_password_v2;
pub mod health;
pub mod jwks;
pub mod maintain;
pub mod metrics;
pub mod not_found;
pub mod openapi;
mod problem;
mod proof;
mod qr_code;
pub mod rotate_keys;
pub mod routes;
pub mod second_factor;
pub mod session;
pub mod sessions;
pub mod verify_mfa;

pub use endpoint::{BodyIs, Call, Endpoint, Route, SessionChange, SessionUse};
pub use field::Field;
pub use problem::{Code, Problem};
