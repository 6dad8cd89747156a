//! The words of the audit: who asked, what for, on what proof, and why it was refused.

use crate::types::time::UnixTime;
use crate::types::username::is_invisible;
use cofrap_crypto::SessionId;
use std::net::IpAddr;

/// Who asks, as far as the platform knows.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The client's address; none if the platform gave none.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`, which proves nothing.
    pub user_agent: Option<UserAgent>,
    /// The component that was asked.
    pub route: Option<String>,
}

/// A `User-Agent`, cut at [`UserAgent::MAX_LENGTH`] characters. Invisible characters and line breaks are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// Characters that the audit keeps.
    pub const MAX_LENGTH: usize = 256;

    /// The text as the audit keeps it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UserAgent {
    fn from(text: &str) -> Self {
        let shown = |c| if is_invisible(c) { char::REPLACEMENT_CHARACTER } else { c };
        Self(text.chars().take(Self::MAX_LENGTH).map(shown).collect())
    }
}

/// `auth_logs_v2.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A login with both factors.
    Login,
    /// A login with both factors, of which one was too old.
    PasswordExpired,
    /// The first step of a login: the password alone.
    PasswordVerified,
    /// A code alone.
    CodeVerified,
    /// To create an account with a chosen password.
    AccountCreated,
    /// To issue a password.
    PasswordGenerated,
    /// To issue a second factor.
    SecondFactorGenerated,
    /// To renew a session.
    SessionRenewed,
    /// To end all sessions of an account.
    SessionsEnded,
    /// To end one session.
    SessionEnded,
    /// To drop a second factor that waits.
    SecondFactorCancelled,
    /// Operator: to forget an account's failures.
    AccountUnlocked,
    /// Operator: to forget an address's failures.
    AddressUnlocked,
    /// Operator: to have both factors renewed.
    AccountExpired,
    /// Operator: to disable an account.
    AccountDisabled,
    /// Operator: to enable an account again.
    AccountEnabled,
    /// Operator: to erase a second factor.
    SecondFactorReset,
    /// Operator: to read the audit.
    AuditRead,
    /// Operator: to encrypt stored secrets under the first key.
    KeysRotated,
    /// A batch of maintenance, or the removal of accounts by it.
    Maintained,
}

impl Action {
    /// The word that the audit keeps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::PasswordExpired => "password_expired",
            Self::PasswordVerified => "password_verified",
            Self::CodeVerified => "code_verified",
            Self::AccountCreated => "account_created",
            Self::PasswordGenerated => "password_generated",
            Self::SecondFactorGenerated => "2fa_generated",
            Self::SessionRenewed => "session_renewed",
            Self::SessionsEnded => "sessions_ended",
            Self::SessionEnded => "session_ended",
            Self::SecondFactorCancelled => "2fa_cancelled",
            Self::AccountUnlocked => "account_unlocked",
            Self::AddressUnlocked => "address_unlocked",
            Self::AccountExpired => "account_expired",
            Self::AccountDisabled => "account_disabled",
            Self::AccountEnabled => "account_enabled",
            Self::SecondFactorReset => "2fa_reset",
            Self::AuditRead => "audit_read",
            Self::KeysRotated => "keys_rotated",
            Self::Maintained => "maintained",
        }
    }

    /// Whether it counts for the limit on issued credentials.
    #[must_use]
    pub const fn is_issuance(self) -> bool {
        matches!(self, Self::AccountCreated | Self::PasswordGenerated | Self::SecondFactorGenerated)
    }
}

/// What an accepted caller showed as proof: `proof` in `auth_logs_v2.details`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// The current password, with the code where the account has a second factor.
    Credentials,
    /// The previous password and a code. The caller may never have seen the present password.
    PreviousCredentials,
    /// The session of a recent login.
    Session,
    /// A renewal token.
    Renewal,
    /// A challenge.
    Challenge,
    /// The operator's token.
    Operator,
}

impl ProofKind {
    /// The word that the audit keeps.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::PreviousCredentials => "previous_credentials",
            Self::Session => "session",
            Self::Renewal => "renewal",
            Self::Challenge => "challenge",
            Self::Operator => "operator",
        }
    }
}

/// Why an attempt was refused: `reason` in `auth_logs_v2.details`. Callers are told less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No account has the name.
    UnknownUser,
    /// The password is wrong.
    WrongPassword,
    /// No code was given.
    MissingCode,
    /// The code belongs to no time step around now, or is not six digits.
    WrongCode,
    /// A code of the same or a later time step was accepted before.
    ReplayedCode,
    /// The account has no second factor yet.
    NotEnrolled,
    /// A factor is older than the maximum age, or was marked as expired.
    Expired,
    /// The operator disabled the account.
    Disabled,
    /// No key decrypts the stored password or second factor, or its MAC is wrong.
    UnreadableSecret,
    /// The MAC of the account's status is wrong: somebody edited the row.
    AlteredRow,
    /// The caller must prove something first.
    ProofRequired,
    /// The token is invalid, has ended, or is for something else.
    InvalidToken,
    /// An account has the name, or one that people cannot tell from it.
    UsernameTaken,
    /// A new account may not have this name.
    InvalidUsername,
    /// The session ended between the two statements of this request.
    SessionEnded,
    /// Another request used the code or changed the account between the two statements of this request.
    Overtaken,
    /// A rate limit was reached: the credentials were not checked.
    TooManyAttempts,
}

impl Reason {
    /// Whether the code was the reason. The password was right then.
    pub(crate) const fn is_of_the_code(self) -> bool {
        matches!(self, Self::MissingCode | Self::WrongCode | Self::ReplayedCode)
    }

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
            Self::Disabled => "account_disabled",
            Self::UnreadableSecret => "unreadable_secret",
            Self::AlteredRow => "altered_row",
            Self::ProofRequired => "proof_required",
            Self::InvalidToken => "invalid_token",
            Self::UsernameTaken => "username_taken",
            Self::InvalidUsername => "invalid_username",
            Self::SessionEnded => "session_ended",
            Self::Overtaken => "overtaken",
            Self::TooManyAttempts => "too_many_attempts",
        }
    }
}

/// A complete login whose session may still be valid.
#[derive(Debug)]
pub struct OpenSession {
    /// Its session.
    pub session: SessionId,
    /// When.
    pub at: UnixTime,
    /// The client's address.
    pub address: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

/// One row of the audit, as it is read back.
#[derive(Debug)]
pub struct AuditEntry {
    /// Its number. Numbers rise with time.
    pub id: i64,
    /// When.
    pub at: UnixTime,
    /// The word of the [`Action`].
    pub action: String,
    /// The name that was given.
    pub username: Option<String>,
    /// The account's number, if the account still exists.
    pub user_id: Option<i64>,
    /// The client's address.
    pub address: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// Whether it was done.
    pub success: bool,
    /// The word of the [`Reason`], if it was not.
    pub reason: Option<String>,
    /// The word of the [`ProofKind`], if one was shown.
    pub proof: Option<String>,
    /// The component that was asked.
    pub route: Option<String>,
    /// How many attempts it stands for, if it is the row of one locked minute.
    pub attempts: Option<i64>,
    /// Up to 20 names of these attempts, if there were several.
    pub names: Option<Vec<String>>,
    /// How many of these attempts had other names.
    pub more_names: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_cannot_forge_a_line_or_turn_one_around() {
        let agent = UserAgent::from("curl\r\nlevel=error\u{85}\u{2028}\u{202e}");
        assert_eq!(agent.as_str(), "curl\u{fffd}\u{fffd}level=error\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(UserAgent::from("é".repeat(600).as_str()).as_str().chars().count(), 256);
    }
}
