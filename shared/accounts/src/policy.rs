//! What the operator may choose: the policy, who may register, how long things last, how often they may fail.

use crate::{Age, Retention};

/// How strictly the seed's documents are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Credentials are only replaced with proof, and nobody logs in without both factors.
    Strict,
    /// The seed taken literally, for a replacement like for like.
    Legacy,
}

/// Everything in which the policies differ. Storage, throttling, replay and audit are the same under both.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What replacing the credentials of an account that has them takes.
    pub generation: Generation,
    /// When a login needs a code.
    pub code: CodeIsAsked,
    /// What a refused caller is told.
    pub refusals: Refusals,
    /// Whether a complete login gives a session.
    pub sessions: Sessions,
}

/// What replacing credentials takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Proof, unless nobody has proven that the account is theirs.
    WithProof,
    /// Nothing, unless the account is disabled or the operator's.
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

/// What a refused caller is told.
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
    /// The one table of what differs.
    #[must_use]
    pub const fn rules(self) -> Rules {
        match self {
            Self::Strict => Rules {
                generation: Generation::WithProof,
                code: CodeIsAsked::Always,
                refusals: Refusals::Uniform,
                sessions: Sessions::Issued,
            },
            Self::Legacy => Rules {
                generation: Generation::Open,
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
    /// Anybody, under a name that is free.
    Open,
    /// Only who shows the operator's token; and only they start an account over.
    Operator,
}

/// What the operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How strictly the seed is read.
    pub policy: Policy,
    /// Who creates accounts.
    pub registration: Registration,
    /// How old a password or a second factor may be; strictly older has expired.
    pub password_max_age: Age,
    /// How often things may fail.
    pub limits: Limits,
    /// How long the audit is kept.
    pub retention: Retention,
}

/// How often things may fail; 0 turns a limit off.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Failures in a row after which an account waits.
    pub account_failures: i64,
    /// Wrong codes in a row behind a right password after which an account is locked until the operator unlocks it.
    pub otp_failures: i64,
    /// Failures of one address in a window.
    pub address_failures: i64,
    /// The window's seconds.
    pub address_window: i64,
    /// Generations and creations that one address may ask for in an hour, refused ones included.
    pub address_generations: i64,
}
