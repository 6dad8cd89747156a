//! `POST /function/verify-2fa`: checks a code; with a challenge, the second step of a login.

use crate::authenticate_user_v2::Factors;
use crate::session::Lifetime;
use crate::{Code, Field, JsonBody, Problem, Reply, SessionChange};
use cofrap_accounts::{Bearer, LoginError, VerifiedCode, VerifyCode};
use serde::{Deserialize, Serialize};

const MISSING: &str = "username and token are required";

/// Whose code it is, and what it is for.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "VerifyCodeRequest", extend("required" = ["username", "token"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// The code, six digits. Right, it is used up.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    token: Field,
    /// What `authentication` gave: with it, a right code completes the login. Without, it is only checked.
    #[serde(default)]
    challenge: Field,
}

impl JsonBody for Request {
    type Command = VerifyCode;
    type Response = Response;

    fn into_command(self, _: Bearer) -> Result<VerifyCode, Problem> {
        let username = self.username.required_username(MISSING)?;
        let code = Field::Text(self.token.required_text("token", MISSING)?).code("token")?;
        Ok(VerifyCode { username, code, challenge: self.challenge.optional_text("challenge")? })
    }
}

/// The code is right.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "VerifiedCode"))]
pub struct Response {
    message: &'static str,
    /// The session, if there was a challenge; not under the legacy policy.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(with = "Option<crate::session::Token>"))]
    session: Option<Lifetime>,
    /// If there was a challenge.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    factors: Option<Factors>,
}

impl From<VerifiedCode> for Reply<Response> {
    fn from(verified: VerifiedCode) -> Self {
        let message = "✅ Token is valid";
        match verified {
            VerifiedCode::Alone => Response { message, session: None, factors: None }.into(),
            VerifiedCode::Login(login) => {
                let factors = login.session.as_ref().map(|_| Factors::of(&login));
                let (session, lifetime) = SessionChange::issue(login.session);
                Self { body: Response { message, session: lifetime, factors }, session }
            }
        }
    }
}

/// A refusal with this function's texts.
#[must_use]
pub fn refuse(error: LoginError) -> Problem {
    Problem::from(error).in_words_of(Code::InvalidCredentials, "❌ Invalid token")
}
