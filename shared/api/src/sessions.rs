//! `GET /function/sessions`: the bearer's sessions that may still hold.

use crate::{Call, Endpoint, Problem};
use cofrap_accounts::{Bearer, OpenSession};
use cofrap_crypto::SessionId;
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

/// The complete logins of the last 12 hours whose sessions were not ended, the newest first, at most 100.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Sessions", deny_unknown_fields))]
pub struct Response {
    /// Each with `authenticated_at` (when its login was, in seconds since the Unix epoch), `ip_address`, `user_agent` and `current` (whether it is
    /// the bearer's).
    sessions: Vec<Entry>,
}

/// A session. It ends 30 minutes after it was last made to last, which nobody but its bearer knows.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "OpenSession", deny_unknown_fields))]
struct Entry {
    /// When its login was, in seconds since the Unix epoch.
    authenticated_at: i64,
    ip_address: Option<String>,
    user_agent: Option<String>,
    /// Whether it is the bearer's.
    current: bool,
}

impl From<(SessionId, Vec<OpenSession>)> for Response {
    fn from((current, sessions): (SessionId, Vec<OpenSession>)) -> Self {
        let entry = |session: OpenSession| Entry {
            authenticated_at: session.at.seconds(),
            ip_address: session.address,
            user_agent: session.user_agent,
            current: session.session == current,
        };
        Self { sessions: sessions.into_iter().map(entry).collect() }
    }
}
