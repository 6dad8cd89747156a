//! `POST /function/generate-password-v2`

use crate::{Endpoint, Field, Problem, qr_code};
use cofrap_accounts::{IssuePassword, IssuedPassword};
use serde::{Deserialize, Serialize};

/// `{username}`
#[derive(Debug, Deserialize)]
pub struct Request {
    #[serde(default)]
    username: Field,
}

impl Endpoint for Request {
    type Command = IssuePassword;
    type Response = Response;

    fn into_command(self) -> Result<IssuePassword, Problem> {
        Ok(IssuePassword { username: self.username.required_username("Le paramètre username est requis")? })
    }
}

/// The new password, inside the QR code only.
#[derive(Serialize)]
pub struct Response {
    success: bool,
    username: String,
    /// PNG, base64.
    qr_code: String,
    /// Seconds since the Unix epoch.
    gendate: i64,
    message: &'static str,
}

impl Response {
    /// Draws the password.
    ///
    /// # Errors
    /// None in practice: see [`qr_code::draw`].
    pub fn draw(issued: &IssuedPassword) -> Result<Self, Problem> {
        Ok(Self {
            success: true,
            username: issued.username.to_string(),
            qr_code: qr_code::draw(issued.password.expose())?,
            gendate: issued.issued_at.seconds(),
            message: "Mot de passe généré avec succès",
        })
    }
}
