//! The rules of COFRAP's accounts.
//!
//! Five layers, each of which imports only those before it: [`types`], [`limits`] (rate limits), [`verify`] (decisions without side effects),
//! [`store`] (what the rules ask of a database) and [`operations`], one file each. A test holds the order.
//!
//! No HTTP, no JSON, no SQL. What an operation needs is in its [`Env`]; what it may answer is in its error enum.

#![forbid(unsafe_code)]

mod limits;
mod operations;
mod store;
mod types;
mod verify;

pub use limits::rate_limit::{
    AttemptOutcome, FIRST_LOCK, ISSUANCE_WINDOW, LONGEST_LOCK, NAME_MEMORY, RateLimitCounts, RateLimitKeys,
    TooManyAttempts, Window,
};
pub use operations::administer::{AccountAction, Administer, FreeAddress, OperatorCommand, administer};
pub use operations::authenticate::{LoggedIn, Login, LoginError, RenewalToken, WhichFactor, authenticate};
pub use operations::create_account::{CreateAccount, CreateAccountError, create_account};
pub use operations::env::{Clock, Env, RequestContext};
pub use operations::health::{Health, Part, check_health};
pub use operations::issue_password::{IssuePassword, IssuePasswordError, IssuedPassword, UnknownName, issue_password};
pub use operations::issue_second_factor::{
    IssueSecondFactor, IssueSecondFactorError, IssuedSecondFactor, issue_second_factor,
};
pub use operations::maintain::{Maintain, Maintained, maintain, maintain_as_owner};
pub use operations::metrics::{MetricsError, read_metrics};
pub use operations::operator::OperatorError;
pub use operations::read_audit::{ReadAudit, read_audit};
pub use operations::rotate_keys::{RotateKeys, Rotated, rotate_keys};
pub use operations::session::{
    IssuedSession, SESSION_SECONDS, Session, SessionAnswer, SessionError, SessionRequest, cancel_second_factor,
    read_activity, read_sessions, session,
};
pub use operations::two_step_login::{
    BeginLogin, BegunLogin, SecondStep, VerifiedCode, VerifyCode, begin_login, verify_code,
};
pub use store::accounts::{AuditFilter, NewAccount, NewPassword, NewSecondFactor};
pub use store::attempt::Attempt;
pub use store::error::{Saved, Stopped, StoreError};
pub use store::interface::{MaintenanceStore, ObservationStore, OperatorStore, SessionStore, Store};
pub use store::maintenance::{MaintenanceBatch, NamedEntry, Partitions};
pub use store::metrics::{AccountGauges, AttemptCount, Metrics, SequenceUse};
pub use store::rotation::{MovedAccount, MovedSecret, MovedSecrets, PastPassword, RotationCursor, StaleBatch};
pub use store::snapshot::{AccountLookup, AccountSnapshot, HealthSnapshot, NameMatch, SessionAccount, StoredKeys};
pub use types::account::{
    Access, Account, AccountId, AccountStatus, AdminIntervention, Counters, Expiry, Origin, PendingSecondFactor,
    PreviousPassword, SecondFactor, State,
};
pub use types::audit::{Action, AuditEntry, Caller, OpenSession, ProofKind, Reason, UserAgent};
pub use types::bearer::Bearer;
pub use types::chosen_password::{CharacterClass, ChosenPassword, UnfitPassword, Weakness};
pub use types::issuer::{InvalidIssuer, Issuer};
pub use types::keys::{AdministrationKeys, HasKeyring, IssuanceKeys, LoginKeys, MetricsKeys, OperatorKeys};
pub use types::settings::{
    CodeIsAsked, Limits, Policy, Refusals, Registration, ReplacementRule, Retention, Rules, Sessions, Settings,
};
pub use types::time::{Age, UnixTime};
pub use types::username::{InvalidUsername, NewUsername, UnfitUsername, Username, sameness_key};
pub use verify::authorizer::Evidence;
pub use verify::credentials::{PasswordStorage, SubmittedCode};
pub use verify::grant::{CredentialChange, Grant, PreviousBecomes, TakesEffect};
pub use verify::operator::OperatorProof;
pub use verify::proven::{ProvenFactor, ProvenLogin};
pub use verify::refusal::Refusal;
pub use verify::session_token::LONGEST_SESSION_SECONDS;
