//! What the operator configures: the policy, who may register, maximum ages, rate limits, how long the audit is kept.

use crate::types::time::Age;

/// How far the functions depart from the first specification for the sake of security.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Credentials are only replaced with proof, and nobody logs in without both factors.
    Strict,
    /// The first specification taken literally, for a replacement like for like.
    Legacy,
}

/// Everything in which the policies differ. Storage, rate limits, replay protection and audit are the same under both.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What replacing an account's credentials requires.
    pub replacement: ReplacementRule,
    /// When a login needs a code.
    pub code: CodeIsAsked,
    /// What a refused caller learns.
    pub refusals: Refusals,
    /// Whether a complete login gives a session.
    pub sessions: Sessions,
}

/// What replacing credentials requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplacementRule {
    /// Proof, unless nobody has ever proven to own the account.
    WithProof,
    /// Nothing, unless the account is disabled or an operator has acted on it.
    Open,
}

/// When a login needs a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeIsAsked {
    /// Always: an account without a second factor enrols first.
    Always,
    /// Of accounts that have a second factor.
    OfTheEnrolled,
}

/// What a refused caller learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// The same, whatever was wrong.
    Uniform,
    /// What was wrong.
    Distinct,
}

/// Whether a complete login gives a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// It does.
    Issued,
    /// It does not, and none is accepted.
    None,
}

impl Policy {
    /// The table of the differences.
    #[must_use]
    pub const fn rules(self) -> Rules {
        match self {
            Self::Strict => Rules {
                replacement: ReplacementRule::WithProof,
                code: CodeIsAsked::Always,
                refusals: Refusals::Uniform,
                sessions: Sessions::Issued,
            },
            Self::Legacy => Rules {
                replacement: ReplacementRule::Open,
                code: CodeIsAsked::OfTheEnrolled,
                refusals: Refusals::Distinct,
                sessions: Sessions::None,
            },
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Legacy => "legacy",
        }
    }
}

/// Who creates accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anybody, under a free name.
    Open,
    /// Only somebody with the operator's token, who alone may also start an account over.
    Operator,
}

/// What the operator has configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The policy.
    pub policy: Policy,
    /// Who creates accounts.
    pub registration: Registration,
    /// The maximum age of a password or a second factor; a strictly older one has expired.
    pub password_max_age: Age,
    /// Rate limits.
    pub limits: Limits,
    /// How long the audit is kept.
    pub retention: Retention,
}

/// Rate limits. 0 turns one off.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failures in a row after which a name is locked for a while.
    pub account_failures: i64,
    /// Wrong codes in a row, each with the right password, after which an account is locked until the operator unlocks it.
    pub otp_failures: i64,
    /// Failures of one address within a window.
    pub address_failures: i64,
    /// The window, in seconds.
    pub address_window: i64,
    /// Passwords, second factors and accounts that one address may ask for within an hour, refused requests included.
    pub address_issuances: i64,
}

/// For how many days audit rows are kept; 0 keeps them for ever.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Refused attempts.
    pub refusals_days: i64,
    /// Successful actions, and everything an operator asked for.
    pub actions_days: i64,
}

impl Retention {
    /// The least value besides 0. The database itself deletes nothing younger.
    pub const MIN_DAYS: u64 = 30;
}
