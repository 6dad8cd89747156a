//! The rules of COFRAP's accounts: one file per operation, the types they speak in, and what they need as interfaces.
//!
//! No HTTP, no JSON, no SQL: those names do not exist here. What an operation needs (clock, randomness, store, keys)
//! stands in its [`Env`]; what it may answer stands in its error enum.

#![forbid(unsafe_code)]

mod account;
mod audit;
mod authenticate;
mod env;
mod issue_password;
mod issue_second_factor;
mod issuer;
mod store;
mod time;
mod username;

pub use account::{Account, AccountId, Expiry, Generations, Grant, Origin, SecondFactor, State};
pub use audit::{Action, Attempt, Caller, Reason, UserAgent};
pub use authenticate::{AuthenticateError, LoggedIn, Login, ProvenLogin, SubmittedCode, authenticate};
pub use env::{Clock, Env, Settings};
pub use issue_password::{IssuePassword, IssuePasswordError, IssuedPassword, issue_password};
pub use issue_second_factor::{IssueSecondFactor, IssueSecondFactorError, IssuedSecondFactor, issue_second_factor};
pub use issuer::{InvalidIssuer, Issuer};
pub use store::{Found, Saved, Store, StoreError};
pub use time::{Age, UnixTime};
pub use username::{InvalidUsername, Username, case_key};
