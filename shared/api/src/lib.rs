//! The JSON contract: one file per route, each with its path, its request and its response; [`Problem`] is what every
//! route answers when it does not.
//!
//! Requests become the domain's commands here, field by field; from then on nothing asks again whether a name is valid.

#![forbid(unsafe_code)]

pub mod authenticate_user_v2;
mod endpoint;
mod field;
pub mod generate_2fa_v2;
pub mod generate_password_v2;
pub mod not_found;
mod problem;
mod qr_code;

pub use endpoint::{Endpoint, parse_body};
pub use field::Field;
pub use problem::{Code, Problem};
