//! `POST /function/administer-account`: an operator's action on an account or an address.

use crate::{Field, JsonBody, Problem};
use cofrap_accounts::{AccountAction, Administer, Bearer, FreeAddress, OperatorCommand};
use serde::{Deserialize, Serialize};

const MISSING: &str = "username (ou address) et action sont requis";

/// The account or the address, and the action.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "AdministerRequest", extend("required" = ["action"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters. Required unless `address` is given.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// `unlock`, `expire`, `disable`, `enable`, `reset-2fa` or `end-sessions`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    action: Field,
    /// An address instead of a name: `unlock` forgets its failures and the credentials that it asked for; of an IPv6 address, those of its
    /// /64.
    #[serde(default)]
    address: Field,
}

impl JsonBody for Request {
    type Command = OperatorCommand;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<OperatorCommand, Problem> {
        let address = self.address.optional_text("address")?;
        let username = match address {
            Some(_) if self.username.is_given() => {
                return Err(Problem::invalid_field("address", "à la place de username, non à côté"));
            }
            Some(_) => None,
            None => Some(self.username.required_username(MISSING)?),
        };
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
        match (username, address) {
            (Some(username), _) => Ok(OperatorCommand::Account(Administer { username, action, bearer })),
            (None, Some(address)) if action == AccountAction::Unlock => {
                let invalid = |_| Problem::invalid_field("address", "une adresse IPv4 ou IPv6 est attendue");
                Ok(OperatorCommand::Address(FreeAddress { address: address.parse().map_err(invalid)?, bearer }))
            }
            (None, _) => Err(Problem::invalid_field("address", "seule l'action unlock s'applique à une adresse")),
        }
    }
}

/// The result.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Administered", deny_unknown_fields))]
pub struct Response {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    message: &'static str,
}

impl Response {
    /// The result.
    #[must_use]
    pub fn of(command: &OperatorCommand) -> Self {
        let command = match command {
            OperatorCommand::Account(command) => command,
            OperatorCommand::Address(command) => {
                let (address, message) = (Some(command.address.to_string()), "Adresse déverrouillée");
                return Self { success: true, username: None, address, message };
            }
        };
        let message = match command.action {
            AccountAction::Unlock => "Compte déverrouillé",
            AccountAction::Expire => "Identifiants à renouveler",
            AccountAction::Disable => "Compte désactivé",
            AccountAction::Enable => "Compte réactivé",
            AccountAction::ResetSecondFactor => "Secret 2FA effacé",
            AccountAction::EndSessions => "Toutes les sessions de ce compte sont terminées",
        };
        Self { success: true, username: Some(command.username.to_string()), address: None, message }
    }
}
