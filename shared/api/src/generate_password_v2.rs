//! `POST /function/generate-password-v2`

use crate::proof::ProofFields;
use crate::{Field, JsonBody, Problem, qr_code};
use cofrap_accounts::{Bearer, IssuePassword, IssuedPassword, PasswordStorage, UnknownName};
use serde::{Deserialize, Serialize};

/// The account that gets a password. An active one needs proof: the current password and code, a renewal token, or a
/// bearer token (a session of at most 5 minutes, or the operator's).
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "GeneratePasswordRequest", extend("required" = ["username"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters in NFC. A new one has letters, marks, digits and `. _ - ' @ +` with single spaces between them, in
    /// scripts that people write together and in its plainest form; 409 if people could take it for another's.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// The current password.
    #[serde(default)]
    password: Field,
    /// The current code, six digits.
    #[serde(default, rename = "2FA_code")]
    code: Field,
    /// The renewal token of an expired login.
    #[serde(default)]
    renewal_token: Field,
}

impl JsonBody for Request {
    type Command = IssuePassword;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<IssuePassword, Problem> {
        self.issue("Le paramètre username est requis", PasswordStorage::Sealed, UnknownName::Create, bearer)
    }
}

impl Request {
    /// Reads every field, for either API version.
    pub(crate) fn issue(
        self,
        if_missing: &'static str,
        storage: PasswordStorage,
        unknown: UnknownName,
        bearer: Bearer,
    ) -> Result<IssuePassword, Problem> {
        let username = self.username.required_username(if_missing)?;
        let Self { password, code, renewal_token, .. } = self;
        let evidence = ProofFields { password, code, renewal_token, challenge: Field::Absent }.present(bearer)?;
        Ok(IssuePassword { username, evidence, storage, unknown })
    }
}

/// The new password, inside the QR code only.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "GeneratedPassword", deny_unknown_fields))]
pub struct Response {
    success: bool,
    username: String,
    /// The password's QR code: a PNG in base64.
    qr_code: String,
    /// When the password was issued, in seconds since the Unix epoch.
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
