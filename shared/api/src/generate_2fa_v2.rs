//! `POST /function/generate-2fa-v2`

use crate::{Endpoint, Field, Problem, qr_code};
use cofrap_accounts::{IssueSecondFactor, IssuedSecondFactor, Issuer};
use serde::{Deserialize, Serialize};

/// The issuer when the request names none.
const DEFAULT_ISSUER: &str = "MSPR2-COFRAP";

/// `{username, issuer?}`
#[derive(Debug, Deserialize)]
pub struct Request {
    #[serde(default)]
    username: Field,
    #[serde(default)]
    issuer: Field,
}

impl Endpoint for Request {
    type Command = IssueSecondFactor;
    type Response = Response;

    fn into_command(self) -> Result<IssueSecondFactor, Problem> {
        let username = self.username.required_username("Le paramètre username est requis")?;
        let issuer = self.issuer.optional_text("issuer")?.unwrap_or_else(|| DEFAULT_ISSUER.to_owned());
        let issuer = Issuer::try_from(issuer).map_err(|_| {
            Problem::invalid_field("issuer", "1 à 64 caractères, sans deux-points ni caractère de contrôle")
        })?;
        Ok(IssueSecondFactor { username, issuer })
    }
}

/// The new secret, as an authenticator app reads it.
#[derive(Serialize)]
pub struct Response {
    success: bool,
    username: String,
    /// PNG of the URI, base64.
    qr_code: String,
    provisioning_uri: String,
    issuer: String,
    message: &'static str,
}

impl Response {
    /// Draws the provisioning URI.
    ///
    /// # Errors
    /// None in practice: see [`qr_code::draw`].
    pub fn draw(issued: &IssuedSecondFactor) -> Result<Self, Problem> {
        Ok(Self {
            success: true,
            username: issued.username.to_string(),
            qr_code: qr_code::draw(&issued.provisioning_uri)?,
            provisioning_uri: issued.provisioning_uri.to_string(),
            issuer: issued.issuer.as_str().to_owned(),
            message: "Secret 2FA généré avec succès",
        })
    }
}
