//! `POST /function/authentication`: the first step of a login.

use crate::field::parse_password;
use crate::{Field, JsonBody, Problem};
use cofrap_accounts::{Bearer, BeginLogin, BegunLogin, LoginError, SecondStep};
use serde::{Deserialize, Serialize};

const MISSING: &str = "Missing username or password";

/// The first step of a login.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "AuthenticationRequest", extend("required" = ["username", "password"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// The password, at most 100 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    password: Field,
}

impl JsonBody for Request {
    type Command = BeginLogin;
    type Response = Response;

    fn into_command(self, _: Bearer) -> Result<BeginLogin, Problem> {
        let username = self.username.required_username(MISSING)?;
        let password = parse_password(self.password.required_text("password", MISSING)?)?;
        Ok(BeginLogin { username, password })
    }
}

/// The password is right, and what follows.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "BegunLogin", deny_unknown_fields))]
pub struct Response {
    authenticated: bool,
    /// Present and true: `verify-2fa` with the challenge and a code completes the login.
    #[serde(rename = "2fa_required", skip_serializing_if = "is_absent")]
    #[cfg_attr(feature = "openapi", schemars(default))]
    code_required: bool,
    /// Present and true: there is no second factor yet. `generate-2fa` takes the challenge, unless the account is the
    /// operator's to enrol.
    #[serde(rename = "2fa_setup_required", skip_serializing_if = "is_absent")]
    #[cfg_attr(feature = "openapi", schemars(default))]
    enrolment_required: bool,
    /// Replaces the password once, for 5 minutes. A new second factor ends it too; then `authentication` issues another.
    challenge: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_absent(field: &bool) -> bool {
    !*field
}

impl From<BegunLogin> for Response {
    fn from(login: BegunLogin) -> Self {
        Self {
            authenticated: true,
            code_required: login.second_step == SecondStep::Code,
            enrolment_required: login.second_step == SecondStep::Enrolment,
            challenge: login.challenge,
        }
    }
}

/// A refusal with this function's additional field.
#[must_use]
pub fn refuse(error: LoginError) -> Problem {
    Problem::from(error).not_authenticated()
}
