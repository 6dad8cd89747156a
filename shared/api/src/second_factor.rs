//! `DELETE /function/second-factor`: drops a new second factor that waits for its first code.

use crate::{Call, Code, Endpoint, Problem};
use cofrap_accounts::{Bearer, SessionError};
use serde::Serialize;

/// A session.
#[derive(Debug)]
pub struct Request;

impl Endpoint for Request {
    type Command = Bearer;
    type Response = Response;

    fn read(call: Call<'_>) -> Result<Bearer, Problem> {
        Ok(call.bearer)
    }
}

/// None waits any more; the one in force stays.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "CancelledSecondFactor", deny_unknown_fields))]
pub struct Response {
    success: bool,
    username: String,
    /// Whether one waited.
    cancelled: bool,
    message: &'static str,
}

impl Response {
    /// What was done for whom.
    #[must_use]
    pub fn of((username, cancelled): (String, bool)) -> Self {
        let message = if cancelled {
            "Le nouveau second facteur est abandonné, l'ancien reste valable"
        } else {
            "Aucun nouveau second facteur n'attend"
        };
        Self { success: true, username, cancelled, message }
    }
}

/// A refusal with this function's texts.
#[must_use]
pub fn refuse(error: SessionError) -> Problem {
    let text = "Reconnectez-vous : la dernière connexion de cette session date de plus de 5 minutes";
    Problem::from(error).in_words_of(Code::ProofRequired, text)
}
