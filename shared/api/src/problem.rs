//! The body of every error, and how each error of an operation becomes one.

use crate::code::Code;
use crate::health_parts::Parts;
use cofrap_accounts::{
    CreateAccountError, IssuePasswordError, IssueSecondFactorError, LoginError, MetricsError, OperatorError, Reason,
    RenewalToken, SessionError, Stopped, StoreError, UnfitUsername,
};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Display;

/// The body of an error, and its cause for the log. Serializes to what the caller sees.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "error")]
    text: Cow<'static, str>,
    code: Code,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    more: Option<Box<More>>,
    /// Seconds to wait, for `Retry-After`.
    #[serde(skip)]
    retry_after: Option<u64>,
    /// Logged once, never sent.
    #[serde(skip)]
    cause: Option<String>,
}

/// Additional fields of some errors.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum More {
    Expired(Expired),
    Unwell(Parts),
    Weak(Weak),
    NotAuthenticated(NotAuthenticated),
    Locked(Locked),
}

/// Whose limit was reached, if that reveals nothing about the name.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "LockedAddress"))]
pub(crate) struct Locked {
    /// `address`: the limit of the caller's address, whatever the name.
    scope: &'static str,
}

/// Additional field for a weak password.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "WeakPassword"))]
pub(crate) struct Weak {
    /// What to change, in French.
    reasons: Vec<&'static str>,
}

/// Additional field of the first step of a login for wrong credentials.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "NotAuthenticated"))]
pub(crate) struct NotAuthenticated {
    /// `false`
    authenticated: bool,
}

/// Additional fields for an expired login.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "ExpiredLogin"))]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(crate) struct Expired {
    password_expired: bool,
    message: &'static str,
    /// A token that permits replacing the password and the second factor, until the next complete login.
    renewal_token: String,
    /// Its lifetime in seconds.
    renewal_expires_in: i64,
    /// What must be replaced: `password`, `second_factor` or both.
    renewal_due: Vec<&'static str>,
}

impl Problem {
    /// The problem with its usual text.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { text: Cow::Borrowed(code.text()), code, more: None, retry_after: None, cause: None }
    }

    /// The same with a route's own text.
    #[must_use]
    pub fn with_text(self, text: &'static str) -> Self {
        Self { text: Cow::Borrowed(text), ..self }
    }

    /// The same with a route's own text, if it has this code.
    #[must_use]
    pub(crate) fn in_words_of(self, code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        if self.code == code { Self { text: text.into(), ..self } } else { self }
    }

    /// The same, with what to change.
    #[must_use]
    pub(crate) fn because(self, reasons: impl Iterator<Item = &'static str>) -> Self {
        Self { more: Some(Box::new(More::Weak(Weak { reasons: reasons.collect() }))), ..self }
    }

    /// The same with `authenticated: false` for wrong credentials, which old programs read.
    #[must_use]
    pub(crate) fn not_authenticated(self) -> Self {
        match self.code {
            Code::InvalidCredentials => {
                let more = More::NotAuthenticated(NotAuthenticated { authenticated: false });
                Self { more: Some(Box::new(more)), ..self }
            }
            _ => self,
        }
    }

    /// A malformed field, by name.
    #[must_use]
    pub fn invalid_field(name: &str, expectation: &str) -> Self {
        Self {
            text: Cow::Owned(format!("Le champ {name} est invalide : {expectation}")),
            ..Self::new(Code::InvalidField)
        }
    }

    /// A name that a new account may not have.
    fn unfit_username(error: &UnfitUsername) -> Self {
        let expectation = match error {
            UnfitUsername::Character => {
                "un nouveau nom se compose de lettres, de chiffres, des signes . _ - ' @ + et d'espaces"
            }
            UnfitUsername::Order => "un seul espace à la fois, et aucun accent isolé",
            UnfitUsername::NotPlain { plain } => {
                return Self::invalid_field("username", &format!("écrivez-le sous sa forme simple, « {plain} »"));
            }
            UnfitUsername::MixedScripts => "il mêle des alphabets dont des lettres se ressemblent",
        };
        Self::invalid_field("username", expectation)
    }

    /// Something that the functions need is missing, and nothing was changed. The cause is for the log.
    #[must_use]
    pub fn unavailable(cause: impl Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(Code::Unavailable) }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Its cause, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Seconds to wait, if waiting helps.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// Something that the functions need is not there.
    pub(crate) fn unwell(parts: Parts, cause: Option<String>) -> Self {
        Self { more: Some(Box::new(More::Unwell(parts))), cause, ..Self::new(Code::Unavailable) }
    }

    fn expired(renewal: RenewalToken) -> Self {
        let expired = Expired {
            password_expired: true,
            message: "Le mot de passe a plus de 6 mois. Veuillez relancer le processus de génération.",
            renewal_token: renewal.token,
            renewal_expires_in: renewal.expires_in,
            renewal_due: ["password", "second_factor"]
                .into_iter()
                .zip(renewal.due)
                .filter_map(|(what, is_due)| is_due.then_some(what))
                .collect(),
        };
        Self { more: Some(Box::new(More::Expired(expired))), ..Self::new(Code::PasswordExpired) }
    }

    /// A refused login, with the reason that the policy reveals.
    fn refused(public_reason: Option<Reason>) -> Self {
        let problem = Self::new(Code::InvalidCredentials);
        match public_reason {
            Some(Reason::UnknownUser) => problem.with_text(Code::UnknownUser.text()),
            Some(Reason::MissingCode) => problem.with_text("Code 2FA requis"),
            Some(Reason::WrongCode | Reason::ReplayedCode) => problem.with_text("Code 2FA incorrect"),
            Some(_) | None => problem,
        }
    }
}

// No `_` arm below: a new variant does not compile until someone chooses its answer.

impl From<IssuePasswordError> for Problem {
    fn from(error: IssuePasswordError) -> Self {
        match error {
            IssuePasswordError::ProofRequired => Self::new(Code::ProofRequired),
            IssuePasswordError::UnknownUser => Self::new(Code::UnknownUser),
            IssuePasswordError::InvalidCredentials => Self::new(Code::InvalidCredentials),
            IssuePasswordError::Disabled => Self::new(Code::AccountDisabled),
            IssuePasswordError::UnfitUsername(error) => Self::unfit_username(&error),
            IssuePasswordError::UsernameTaken => Self::new(Code::UsernameTaken),
            IssuePasswordError::Overtaken => Self::new(Code::Overtaken),
            IssuePasswordError::Stopped(cause) => cause.into(),
        }
    }
}

impl From<CreateAccountError> for Problem {
    fn from(error: CreateAccountError) -> Self {
        match error {
            CreateAccountError::ProofRequired => Self::new(Code::ProofRequired),
            CreateAccountError::UnfitUsername(error) => Self::unfit_username(&error),
            CreateAccountError::UsernameTaken => Self::new(Code::UsernameTaken),
            CreateAccountError::Stopped(cause) => cause.into(),
        }
    }
}

impl From<IssueSecondFactorError> for Problem {
    fn from(error: IssueSecondFactorError) -> Self {
        match error {
            IssueSecondFactorError::ProofRequired => Self::new(Code::ProofRequired),
            IssueSecondFactorError::UnknownUser => Self::new(Code::UnknownUser),
            IssueSecondFactorError::InvalidCredentials => Self::new(Code::InvalidCredentials),
            IssueSecondFactorError::Disabled => Self::new(Code::AccountDisabled),
            IssueSecondFactorError::Overtaken => Self::new(Code::Overtaken),
            IssueSecondFactorError::Stopped(cause) => cause.into(),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials { public_reason } => Self::refused(public_reason),
            LoginError::EnrollmentRequired => Self::new(Code::MfaEnrollmentRequired),
            LoginError::Expired(renewal) => Self::expired(renewal),
            LoginError::Stopped(cause) => cause.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::InvalidToken => Self::new(Code::InvalidToken),
            SessionError::TooOld => Self::new(Code::ProofRequired),
            SessionError::Store(cause) => cause.into(),
        }
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::NotOffered => Self::new(Code::NotFound),
            OperatorError::InvalidToken => Self::new(Code::InvalidToken),
            OperatorError::UnknownUser => Self::new(Code::UnknownUser),
            OperatorError::Altered => Self::new(Code::AlteredAccount),
            OperatorError::Overtaken => Self::new(Code::Overtaken),
            OperatorError::Stopped(cause) => cause.into(),
        }
    }
}

impl From<MetricsError> for Problem {
    fn from(error: MetricsError) -> Self {
        match error {
            MetricsError::NotOffered => Self::new(Code::NotFound),
            MetricsError::Store(cause) => cause.into(),
        }
    }
}

impl From<Stopped> for Problem {
    fn from(error: Stopped) -> Self {
        match error {
            Stopped::TooManyAttempts(error) => {
                let more = error.of_address.then(|| Box::new(More::Locked(Locked { scope: "address" })));
                Self { retry_after: Some(error.retry_after.seconds()), more, ..Self::new(Code::TooManyAttempts) }
            }
            Stopped::Store(cause) => cause.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(cause: StoreError) -> Self {
        match cause {
            StoreError::Unavailable(_)
            | StoreError::SchemaMissing(_)
            | StoreError::WrongKeys(_)
            | StoreError::NotTheOperator
            | StoreError::Restored
            | StoreError::CorruptAnswer(_)
            | StoreError::CorruptRow { .. } => Self::unavailable(cause),
            StoreError::OutcomeUnknown(_) => Self { cause: Some(cause.to_string()), ..Self::new(Code::OutcomeUnknown) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_holds_the_text_and_the_machine_word() {
        let body = serde_json::to_string(&Problem::new(Code::InvalidCredentials)).unwrap();
        assert_eq!(body, r#"{"error":"Mot de passe incorrect","code":"invalid_credentials"}"#);
    }

    #[test]
    fn an_expired_login_is_told_what_to_do() {
        let body = serde_json::to_string(&Problem::expired(RenewalToken {
            token: "ticket".into(),
            expires_in: 900,
            due: [true, false],
        }))
        .unwrap();
        assert_eq!(
            body,
            r#"{"error":"Mot de passe expiré","code":"password_expired","password_expired":true,"message":"Le mot de passe a plus de 6 mois. Veuillez relancer le processus de génération.","renewal_token":"ticket","renewal_expires_in":900,"renewal_due":["password"]}"#
        );
    }

    #[test]
    fn the_cause_is_never_sent() {
        let problem = Problem::from(StoreError::Unavailable("canary".into()));
        assert!(!serde_json::to_string(&problem).unwrap().contains("canary"));
        assert_eq!(problem.cause().unwrap(), "database: canary");
    }
}
