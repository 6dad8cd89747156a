//! The operations, one file each: they read, decide through `verify`, and have the store write. Import all other layers.

pub(crate) mod administer;
pub(crate) mod authenticate;
pub(crate) mod case;
pub(crate) mod create_account;
pub(crate) mod env;
pub(crate) mod health;
pub(crate) mod issuance;
pub(crate) mod issue_password;
pub(crate) mod issue_second_factor;
pub(crate) mod maintain;
pub(crate) mod metrics;
pub(crate) mod operator;
pub(crate) mod read_audit;
pub(crate) mod rotate_keys;
pub(crate) mod session;
pub(crate) mod two_step_login;
