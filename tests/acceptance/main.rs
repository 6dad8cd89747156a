//! What callers, operators and existing databases can rely on, one file for each function and each journey.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "where a test fails, it panics")]

mod activity;
mod administer_account;
mod anywhere;
mod audit;
mod audit_log;
mod audit_table;
mod authenticate_user_v2;
mod authentication;
mod browser;
mod client_address;
mod components;
mod create_account_secure;
mod database_functions;
mod deploy_script;
mod deployment;
mod documentation;
mod envelope;
mod floods;
mod frontend;
mod generate_mfa;
mod generate_mfa_v2;
mod generate_password;
mod generate_password_v2;
mod health;
mod image;
mod journey;
mod jwks;
mod lifecycle;
mod local_host;
mod log_lines;
mod lost_answers;
mod maintain;
mod metrics;
mod names;
mod not_found;
mod openapi;
mod policy;
mod proxy;
mod races;
mod restore;
mod rotate_keys;
mod schema;
mod second_factor;
mod session;
mod session_cookie;
mod sessions;
mod smoke;
mod stored_secrets;
mod take_over;
mod throttling;
mod tls;
mod unavailable;
mod verify_mfa;
