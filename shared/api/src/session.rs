//! `/function/session`: `GET` who bears it, `POST` make it last, `DELETE` end all of the account.

use crate::{BodyIs, Call, Problem, Route, SessionChange, SessionUse};
use cofrap_accounts::{Bearer, IssuedSession, Session, SessionAnswer, SessionRequest};
use serde::Serialize;

/// Reads the method; there is nothing else to read.
#[derive(Debug)]
pub struct Request;

impl Route for Request {
    const METHODS: &'static [&'static str] = &["GET", "POST", "DELETE"];
    const BODY: BodyIs = BodyIs::Ignored;
    const SESSION: SessionUse = SessionUse::Borne;
    type Command = (Bearer, SessionRequest);
    type Response = Response;

    fn read(call: Call<'_>) -> Result<Self::Command, Problem> {
        let request = match call.method {
            "POST" => SessionRequest::Renew,
            "DELETE" => SessionRequest::End,
            _ => SessionRequest::Read,
        };
        Ok((call.bearer, request))
    }

    fn session_change(response: &mut Response) -> SessionChange<'_> {
        match response {
            Response::Read(_) => SessionChange::Unchanged,
            Response::Renewed(renewed) => SessionChange::Issued(&mut renewed.token),
            Response::Ended(_) => SessionChange::Ended,
        }
    }
}

/// The session, or what was done with it.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Response {
    /// Who bears it.
    Read(Current),
    /// It lasts longer.
    Renewed(Renewed),
    /// All sessions of the account are over.
    Ended(Ended),
}

/// Who bears a session, and how long.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Session"))]
pub struct Current {
    #[serde(flatten)]
    session: Bearing,
    /// Seconds until the token ends.
    expires_in: u64,
}

/// Who bears a session.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Bearing {
    username: String,
    user_id: i64,
    /// When the token was issued, in seconds since the Unix epoch.
    issued_at: i64,
    /// When the token ends, in seconds since the Unix epoch: 12 hours after the login at the latest.
    expires_at: i64,
    /// Until when password and second factor hold, in seconds since the Unix epoch: `password_max_age_seconds` after the older
    /// one was born.
    renewal_due_at: i64,
}

/// The same session, with another token.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "RenewedSession"))]
pub struct Renewed {
    #[serde(flatten)]
    session: Bearing,
    #[serde(flatten)]
    token: Token,
}

/// All sessions of the account are over.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "EndedSessions", deny_unknown_fields))]
pub struct Ended {
    success: bool,
    username: String,
    message: &'static str,
}

/// A session's token.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "SessionToken"))]
#[expect(clippy::struct_field_names, reason = "RFC 6749's names")]
pub struct Token {
    /// A JSON Web Token, signed with a key of `/.well-known/jwks.json`; not where it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// `Bearer`; not where it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Seconds until it ends.
    expires_in: u64,
}

impl From<IssuedSession> for Token {
    fn from(issued: IssuedSession) -> Self {
        let expires_in = issued.expires_at.since(issued.issued_at).seconds();
        Self { token: Some(issued.token), token_type: Some("Bearer"), expires_in }
    }
}

impl Token {
    /// Takes the token out of the answer, for a place that scripts do not see; and the seconds until it ends.
    pub fn take(&mut self) -> Option<(String, u64)> {
        self.token_type = None;
        self.token.take().map(|token| (token, self.expires_in))
    }
}

impl From<Session> for Bearing {
    fn from(session: Session) -> Self {
        Self {
            username: session.username,
            user_id: session.account.0,
            issued_at: session.issued_at.seconds(),
            expires_at: session.expires_at.seconds(),
            renewal_due_at: session.renewal_due.seconds(),
        }
    }
}

impl From<SessionAnswer> for Response {
    fn from(answer: SessionAnswer) -> Self {
        match answer {
            SessionAnswer::Read(session, left) => {
                Self::Read(Current { session: session.into(), expires_in: left.seconds() })
            }
            SessionAnswer::Renewed(session, issued) => {
                let (issued_at, expires_at) = (issued.issued_at, issued.expires_at);
                let session = Session { issued_at, expires_at, ..session }.into();
                Self::Renewed(Renewed { session, token: issued.into() })
            }
            SessionAnswer::Ended(session) => Self::Ended(Ended {
                success: true,
                username: session.username,
                message: "Toutes les sessions de ce compte sont terminées",
            }),
        }
    }
}
