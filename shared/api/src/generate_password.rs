//! `POST /function/generate-password`: as `generate-password-v2`, but in the answer's text, and for accounts that exist.

use crate::{Code, JsonBody, Problem, generate_password_v2};
use cofrap_accounts::{Bearer, IssuePassword, IssuePasswordError, IssuedPassword, PasswordStorage, UnknownName};
use serde::{Deserialize, Serialize};

/// The same fields as in API version 2.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Request(generate_password_v2::Request);

impl JsonBody for Request {
    type Command = IssuePassword;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<IssuePassword, Problem> {
        self.0.issue("Username is required", PasswordStorage::Hashed, UnknownName::Refuse, bearer)
    }
}

/// The new password, shown once.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "UpdatedPassword", deny_unknown_fields))]
pub struct Response {
    message: String,
    /// 24 characters.
    password: String,
}

impl From<IssuedPassword> for Response {
    fn from(issued: IssuedPassword) -> Self {
        Self {
            message: format!("Password updated for user '{}'", issued.username),
            password: issued.password.expose().to_owned(),
        }
    }
}

/// A refusal with this function's texts.
#[must_use]
pub fn refuse(error: IssuePasswordError, issue: &IssuePassword) -> Problem {
    let text = format!("User '{}' not found in database", issue.username);
    Problem::from(error).in_words_of(Code::UnknownUser, text)
}
