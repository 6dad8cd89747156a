//! `POST /function/generate-2fa`: as `generate-2fa-v2`, with the secret in the answer and one issuer.

use crate::{Code, JsonBody, Problem, generate_mfa_v2, qr_code};
use cofrap_accounts::{Bearer, IssueSecondFactor, IssueSecondFactorError, IssuedSecondFactor, Issuer, PasswordStorage};
use serde::{Deserialize, Serialize};

const ISSUER: &str = "MSPR-App";

/// The same fields as in API version 2; `issuer` is ignored.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Request(generate_mfa_v2::Request);

impl JsonBody for Request {
    type Command = IssueSecondFactor;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<IssueSecondFactor, Problem> {
        let issuer = Issuer::try_from(ISSUER.to_owned()).expect("it is one");
        self.0.issue("Username required", |_| Ok(issuer), PasswordStorage::Hashed, bearer)
    }
}

/// The new secret.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "SavedSecondFactor", deny_unknown_fields))]
pub struct Response {
    message: &'static str,
    /// 32 characters of base32.
    secret: String,
    /// The QR code that an authenticator app scans: a PNG in base64.
    qr_base64: String,
}

impl Response {
    /// Draws the provisioning URI.
    ///
    /// # Errors
    /// None in practice: see [`qr_code::draw`].
    pub fn draw(issued: &IssuedSecondFactor) -> Result<Self, Problem> {
        Ok(Self {
            message: "2FA secret generated and saved",
            secret: issued.secret.to_string(),
            qr_base64: qr_code::draw(&issued.provisioning_uri)?,
        })
    }
}

/// A refusal with this function's texts.
#[must_use]
pub fn refuse(error: IssueSecondFactorError) -> Problem {
    Problem::from(error).in_words_of(Code::UnknownUser, "User does not exist")
}
