//! What the audit keeps of every attempt.

use crate::username::is_forbidden;
use crate::{UnixTime, Username};
use std::net::IpAddr;

/// Who asks: as much as the platform can vouch for.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The address that the connection came from; none when the platform gave none.
    pub address: Option<IpAddr>,
    /// What the client calls itself; an unproven claim.
    pub user_agent: Option<UserAgent>,
}

/// What a client calls itself: at most [`UserAgent::MAX_LENGTH`] characters, those that cannot be seen or break a line
/// replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// Characters that the audit keeps.
    pub const MAX_LENGTH: usize = 512;

    /// The text as the audit keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UserAgent {
    fn from(text: &str) -> Self {
        let shown = |c| if is_forbidden(c) { char::REPLACEMENT_CHARACTER } else { c };
        Self(text.chars().take(Self::MAX_LENGTH).map(shown).collect())
    }
}

/// One attempt at one operation: it becomes exactly one row of the audit, in the statement that does or refuses it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What was asked.
    pub action: Action,
    /// The name that was given, whether an account has it or not.
    pub username: &'a Username,
    /// Who asked.
    pub caller: &'a Caller,
    /// When.
    pub at: UnixTime,
}

/// `auth_logs_v2.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A complete login was tried.
    Login,
    /// A complete login was right, and too late.
    PasswordExpired,
    /// A new password was asked for.
    PasswordGenerated,
    /// A new second factor was asked for.
    SecondFactorGenerated,
}

impl Action {
    /// The word that the audit keeps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::PasswordExpired => "password_expired",
            Self::PasswordGenerated => "password_generated",
            Self::SecondFactorGenerated => "2fa_generated",
        }
    }
}

/// Why an attempt was refused: `reason` in `auth_logs_v2.details`. Callers are told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No account has the name.
    UnknownUser,
    /// The password is another one.
    WrongPassword,
    /// No code was given.
    MissingCode,
    /// The code is of no step around now, or is no code at all.
    WrongCode,
    /// The code's step, or a later one, was used before.
    ReplayedCode,
    /// The account has no second factor yet.
    NotEnrolled,
    /// A factor is older than the maximum age, or was marked as expired.
    Expired,
    /// The stored password or second factor does not open under any key, or opens to something else.
    UnreadableSecret,
    /// The account's credentials are not open to a caller without proof.
    ProofRequired,
    /// Another account's name differs only in case.
    UsernameTaken,
    /// Another request used the code, or replaced the credentials, between this one's two statements.
    Overtaken,
}

impl Reason {
    /// The word that the audit keeps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::MissingCode => "missing_code",
            Self::WrongCode => "wrong_code",
            Self::ReplayedCode => "replayed_code",
            Self::NotEnrolled => "mfa_not_enrolled",
            Self::Expired => "expired",
            Self::UnreadableSecret => "unreadable_secret",
            Self::ProofRequired => "proof_required",
            Self::UsernameTaken => "username_taken",
            Self::Overtaken => "overtaken",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_cannot_forge_a_line_or_turn_one_around() {
        let agent = UserAgent::from("curl\r\nlevel=error\u{85}\u{2028}\u{202e}");
        assert_eq!(agent.as_str(), "curl\u{fffd}\u{fffd}level=error\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(UserAgent::from("é".repeat(600).as_str()).as_str().chars().count(), 512);
    }
}
