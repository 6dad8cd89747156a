//! `POST /function/generate-2fa-v2`

use crate::proof::ProofFields;
use crate::{Field, JsonBody, Problem, qr_code};
use cofrap_accounts::{Bearer, IssueSecondFactor, IssuedSecondFactor, Issuer, PasswordStorage};
use serde::{Deserialize, Serialize};

/// The issuer when the request names none.
const DEFAULT_ISSUER: &str = "MSPR2-COFRAP";

/// The account that gets a second factor. An active one needs proof: the current password and code, a renewal token, or a
/// bearer token (a session of at most 5 minutes, or the operator's); without a second factor, the current password or a
/// challenge.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "GenerateSecondFactorRequest", extend("required" = ["username"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// The issuer that the authenticator app shows: 1 to 64 characters, no colon. `MSPR2-COFRAP` if absent.
    #[serde(default)]
    issuer: Field,
    /// The current password.
    #[serde(default)]
    password: Field,
    /// The current code, six digits.
    #[serde(default, rename = "2FA_code")]
    code: Field,
    /// The renewal token of an expired login.
    #[serde(default)]
    renewal_token: Field,
    /// The challenge of a right password.
    #[serde(default)]
    challenge: Field,
}

impl JsonBody for Request {
    type Command = IssueSecondFactor;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<IssueSecondFactor, Problem> {
        self.issue("Le paramètre username est requis", parse_issuer, PasswordStorage::Sealed, bearer)
    }
}

impl Request {
    /// Reads every field, for either API version.
    pub(crate) fn issue(
        self,
        if_missing: &'static str,
        issuer: impl FnOnce(Field) -> Result<Issuer, Problem>,
        storage: PasswordStorage,
        bearer: Bearer,
    ) -> Result<IssueSecondFactor, Problem> {
        let username = self.username.required_username(if_missing)?;
        let issuer = issuer(self.issuer)?;
        let Self { password, code, renewal_token, challenge, .. } = self;
        let evidence = ProofFields { password, code, renewal_token, challenge }.present(bearer)?;
        Ok(IssueSecondFactor { username, issuer, evidence, storage })
    }
}

fn parse_issuer(field: Field) -> Result<Issuer, Problem> {
    let text = field.optional_text("issuer")?.map_or_else(|| DEFAULT_ISSUER.to_owned(), |text| text.to_string());
    Issuer::try_from(text)
        .map_err(|_| Problem::invalid_field("issuer", "1 à 64 caractères, sans deux-points ni caractère de contrôle"))
}

/// The new secret, as an authenticator app reads it.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "GeneratedSecondFactor", deny_unknown_fields))]
pub struct Response {
    success: bool,
    username: String,
    /// The URI's QR code: a PNG in base64.
    qr_code: String,
    /// `otpauth://totp/...`, with the secret in base32.
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
