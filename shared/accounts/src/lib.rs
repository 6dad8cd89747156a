//! The rules of COFRAP's accounts: one file per operation, the types they speak in, and what they need as interfaces.
//!
//! No HTTP, no JSON, no SQL: those names do not exist here. What an operation needs (clock, randomness, store, keys)
//! stands in its [`Env`]; what it may answer stands in its error enum.

#![forbid(unsafe_code)]

mod account;
mod audit;
mod authenticate;
mod chosen_password;
mod create_account;
mod credentials;
mod env;
mod grant;
mod health;
mod issue_password;
mod issue_second_factor;
mod issuer;
mod maintenance;
mod metrics;
mod operator;
mod plausible;
mod policy;
mod session;
mod store;
mod throttle;
mod ticket;
mod time;
mod two_step_login;
mod username;

pub use account::{
    Access, Account, AccountId, Counters, Expiry, Operator, Origin, PendingSecondFactor, PreviousPassword,
    SecondFactor, Standing, State,
};
pub use audit::{Action, Attempt, AuditEntry, Caller, OpenSession, ProofKind, Reason, UserAgent};
pub use authenticate::{LoggedIn, Login, LoginError, ProvenLogin, RenewalTicket, WhichFactor, authenticate};
pub use chosen_password::{CharacterClass, ChosenPassword, UnfitPassword, Weakness};
pub use create_account::{CreateAccount, CreateAccountError, create_account};
pub use credentials::{Scheme, SubmittedCode};
pub use env::{AdministrationKeys, Clock, Env, GenerationKeys, LoginKeys, MetricsKeys, OperatorKeys};
pub use grant::{Bearer, Grant, Presented, PreviousBecomes};
pub use health::{Health, Part, check_health};
pub use issue_password::{IssuePassword, IssuePasswordError, IssuedPassword, UnknownName, issue_password};
pub use issue_second_factor::{IssueSecondFactor, IssueSecondFactorError, IssuedSecondFactor, issue_second_factor};
pub use issuer::{InvalidIssuer, Issuer};
pub use maintenance::{
    Maintain, Maintained, MaintenanceBatch, NamedEntry, Partitions, Retention, maintain, maintain_as_owner,
};
pub use metrics::{AccountGauges, AttemptCount, Metrics, MetricsError, SequenceUse, read_metrics};
pub use operator::{
    AccountAction, Administer, FreeAddress, OperatorCommand, OperatorError, OperatorProof, ReadAudit, RotateKeys,
    Rotated, administer, read_audit, rotate_keys,
};
pub use policy::{CodeIsAsked, Generation, Limits, Policy, Refusals, Registration, Rules, Sessions, Settings};
pub use session::{
    IssuedSession, LONGEST_SESSION_SECONDS, SESSION_SECONDS, Session, SessionAnswer, SessionError, SessionRequest,
    cancel_second_factor, read_activity, read_sessions, session,
};
pub use store::{
    AuditFilter, CredentialChange, Found, HealthReading, MovedAccount, MovedSecret, MovedSecrets, NewAccount,
    NewPassword, NewSecondFactor, PastPassword, Reading, Refusal, RotationCursor, Saved, SessionAccount, Spelling,
    StaleBatch, Stopped, Store, StoreError, StoredKeys, TakesEffect,
};
pub use throttle::{
    FIRST_LOCK, GENERATION_WINDOW, LONGEST_LOCK, NAME_MEMORY, Subjects, Tally, Throttles, TooManyAttempts, Window,
};
pub use time::{Age, UnixTime};
pub use two_step_login::{
    BeginLogin, BegunLogin, ProvenFactor, SecondStep, VerifiedCode, VerifyCode, begin_login, verify_code,
};
pub use username::{InvalidUsername, NewUsername, UnfitUsername, Username, sameness_key};
