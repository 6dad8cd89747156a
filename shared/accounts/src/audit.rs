//! What the audit keeps of every attempt.

use crate::username::is_invisible;
use crate::{Limits, Reading, Subjects, Tally, UnixTime};
use cofrap_crypto::SessionId;
use std::net::IpAddr;

/// Who asks: as much as the platform can vouch for.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The address that the connection came from; none when the platform gave none.
    pub address: Option<IpAddr>,
    /// What the client calls itself; an unproven claim.
    pub user_agent: Option<UserAgent>,
    /// The component that was asked.
    pub route: Option<String>,
}

/// What a client calls itself: at most [`UserAgent::MAX_LENGTH`] characters, those that cannot be seen or break a line
/// replaced.
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

/// One attempt at one operation: it becomes exactly one row of the audit, in the statement that does or refuses it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What was asked.
    pub action: Action,
    /// The name that was given, whether an account has it or not; none where an operation has no name.
    pub username: Option<&'a str>,
    /// What a refusal says in its place, if it must not say it.
    pub alias: Option<&'a str>,
    /// Who asked.
    pub caller: &'a Caller,
    /// When.
    pub at: UnixTime,
    /// What was shown as proof, and was accepted.
    pub proof: Option<ProofKind>,
    /// Whose attempts are counted.
    pub subjects: &'a Subjects,
    /// How many there may be.
    pub limits: &'a Limits,
    /// Whether the account knows the caller's address.
    pub known_place: bool,
    /// What it came to, for the counts.
    pub tally: Tally,
    /// The names of the keys that rows need after it, with commas between them.
    pub needed_keys: &'a str,
}

impl<'s> Attempt<'s> {
    /// The same, after the first statement.
    #[must_use]
    pub(crate) fn on(self, reading: &'s Reading, needed_keys: &'s str) -> Self {
        let alias = reading.alias.as_deref();
        Self { known_place: reading.throttles.known_place, needed_keys, alias, ..self }
    }

    /// The same, with what it came to.
    #[must_use]
    pub const fn that_came_to(self, tally: Tally) -> Self {
        Self { tally, ..self }
    }
}

/// `auth_logs_v2.action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A complete login was tried.
    Login,
    /// A complete login was right, and too late.
    PasswordExpired,
    /// The first step of a login: a password alone.
    PasswordVerified,
    /// A code alone.
    CodeVerified,
    /// A new account with a chosen password was asked for.
    AccountCreated,
    /// A new password was asked for.
    PasswordGenerated,
    /// A new second factor was asked for.
    SecondFactorGenerated,
    /// A session was asked to last longer.
    SessionRenewed,
    /// The end of all sessions of an account was asked for.
    SessionsEnded,
    /// The end of one session was asked for.
    SessionEnded,
    /// To drop a second factor that waits was asked for.
    SecondFactorCancelled,
    /// An operator asked to forget an account's failures.
    AccountUnlocked,
    /// An operator asked to forget an address's failures.
    AddressUnlocked,
    /// An operator asked to have both factors renewed.
    AccountExpired,
    /// An operator asked to disable an account.
    AccountDisabled,
    /// An operator asked to enable an account again.
    AccountEnabled,
    /// An operator asked to erase a second factor.
    SecondFactorReset,
    /// An operator asked for the audit.
    AuditRead,
    /// An operator asked to seal stored secrets under the first key.
    KeysRotated,
    /// A batch of maintenance was asked for, or has removed accounts.
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

    /// Whether it counts for the limit of generations.
    #[must_use]
    pub const fn is_generation(self) -> bool {
        matches!(self, Self::AccountCreated | Self::PasswordGenerated | Self::SecondFactorGenerated)
    }
}

/// What was shown as proof: `proof` in `auth_logs_v2.details`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofKind {
    /// The current password, with the code where the account has a second factor.
    Credentials,
    /// The password before, with a code, of somebody who may never have seen the present one.
    PreviousCredentials,
    /// The session of a recent login.
    Session,
    /// The ticket of a login that was right and too late.
    Renewal,
    /// The ticket of a right password.
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
    /// The operator disabled the account.
    Disabled,
    /// The stored password or second factor does not open under any key, or belongs elsewhere.
    UnreadableSecret,
    /// What the row says of the account is not what the functions wrote.
    AlteredRow,
    /// The account's credentials are not open to a caller without proof.
    ProofRequired,
    /// The token is none, is over, or is not for this.
    InvalidToken,
    /// Another account's name is the same to people.
    UsernameTaken,
    /// The name is none that a new account may have.
    InvalidUsername,
    /// The session was ended between this request's two statements.
    SessionEnded,
    /// Another request used the code, or replaced the credentials, between this one's two statements.
    Overtaken,
    /// A limit was reached: nothing was judged.
    TooManyAttempts,
}

impl Reason {
    /// Whether the code alone was it: where both are judged, the password was right then.
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

/// A complete login whose session may still hold.
#[derive(Debug)]
pub struct OpenSession {
    /// Its session.
    pub session: SessionId,
    /// When.
    pub at: UnixTime,
    /// Where it came from.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
}

/// One row of the audit, as it is read back.
#[derive(Debug)]
pub struct AuditEntry {
    /// Its number: they rise with time.
    pub id: i64,
    /// When.
    pub at: UnixTime,
    /// The word of the [`Action`].
    pub action: String,
    /// The name that was given.
    pub username: Option<String>,
    /// The account that it led to, if it still exists.
    pub user_id: Option<i64>,
    /// Where it came from.
    pub address: Option<String>,
    /// What the client called itself.
    pub user_agent: Option<String>,
    /// Whether it was done.
    pub success: bool,
    /// The word of the [`Reason`], if it was not.
    pub reason: Option<String>,
    /// The word of the [`ProofKind`], if one was shown.
    pub proof: Option<String>,
    /// The component that was asked.
    pub route: Option<String>,
    /// How many attempts it stands for, if it is one row for what was locked in a minute.
    pub attempts: Option<i64>,
    /// The names that they gave, up to 20, where there were several.
    pub names: Option<Vec<String>>,
    /// How many of them gave further names.
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
