//! `POST /function/administer-account`: what an operator does with an account.

use crate::{Endpoint, Field, Problem};
use cofrap_accounts::{AccountAction, Administer, Bearer};
use serde::{Deserialize, Serialize};

const MISSING: &str = "username et action sont requis";

/// The account, and what is to be done with it.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "AdministerRequest", extend("required" = ["username", "action"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// `unlock`, `expire`, `disable`, `enable`, `reset-2fa` or `end-sessions`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    action: Field,
}

impl Endpoint for Request {
    type Command = Administer;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<Administer, Problem> {
        let username = self.username.required_username(MISSING)?;
        let action = match self.action.required_text("action", MISSING)?.as_str() {
            "unlock" => AccountAction::Unlock,
            "expire" => AccountAction::Expire,
            "disable" => AccountAction::Disable,
            "enable" => AccountAction::Enable,
            "reset-2fa" => AccountAction::ResetSecondFactor,
            "end-sessions" => AccountAction::EndSessions,
            _ => {
                let expectation = "unlock, expire, disable, enable, reset-2fa ou end-sessions";
                return Err(Problem::invalid_field("action", expectation));
            }
        };
        Ok(Administer { username, action, bearer })
    }
}

/// What was done.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Administered", deny_unknown_fields))]
pub struct Response {
    success: bool,
    username: String,
    message: &'static str,
}

impl Response {
    /// What was done.
    #[must_use]
    pub fn of(command: &Administer) -> Self {
        let message = match command.action {
            AccountAction::Unlock => "Compte déverrouillé",
            AccountAction::Expire => "Identifiants à renouveler",
            AccountAction::Disable => "Compte désactivé",
            AccountAction::Enable => "Compte réactivé",
            AccountAction::ResetSecondFactor => "Secret 2FA effacé",
            AccountAction::EndSessions => "Toutes les sessions de ce compte sont terminées",
        };
        Self { success: true, username: command.username.to_string(), message }
    }
}
