//! The JSON contract: the table of all routes ([`routes`]), one file per route with its request and its response, and [`Problem`], the body of
//! every error.
//!
//! A request becomes a command of `cofrap-accounts` here, field by field. After that, names and codes are known to be well-formed.

#![forbid(unsafe_code)]

pub mod activity;
pub mod administer_account;
pub mod audit_log;
pub mod authenticate_user_v2;
pub mod authentication;
mod code;
pub mod create_account_secure;
mod field;
pub mod frontend;
pub mod generate_mfa;
pub mod generate_mfa_v2;
pub mod generate_password;
pub mod generate_password_v2;
pub mod health;
mod health_parts;
pub mod jwks;
pub mod maintain;
pub mod metrics;
pub mod not_found;
pub mod openapi;
mod problem;
mod proof;
mod qr_code;
pub mod rotate_keys;
mod route;
pub mod routes;
pub mod second_factor;
pub mod session;
pub mod sessions;
pub mod variables;
pub mod verify_mfa;

pub use code::Code;
pub use field::Field;
pub use problem::Problem;
pub use route::{
    Application, Audience, BearerOf, BodyIs, Call, Endpoint, JsonBody, Operation, Parameter, Reply, Route, SchemaOf,
    SessionChange, SessionToken, SessionUse,
};
