//! `/function/session`: `GET` who bears it, `POST` make it last, `DELETE` end all of the account.

use crate::{BodyIs, Call, Problem, Route};
use cofrap_accounts::{Bearer, IssuedSession, Session, SessionAnswer, SessionRequest};
use serde::Serialize;

/// Reads the method; there is nothing else to read.
#[derive(Debug)]
pub struct Request;

impl Route for Request {
    const METHODS: &'static [&'static str] = &["GET", "POST", "DELETE"];
    const BODY: BodyIs = BodyIs::Ignored;
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
}

/// The session, or what was done with it.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Response {
    /// Who bears it.
    Read(Bearing),
    /// It lasts longer.
    Renewed(Renewed),
    /// All sessions of the account are over.
    Ended(Ended),
}

/// Who bears a session.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Session", deny_unknown_fields))]
pub struct Bearing {
    username: String,
    user_id: i64,
    /// When the token was issued, in seconds since the Unix epoch.
    issued_at: i64,
    /// When the token ends, in seconds since the Unix epoch: 12 hours after the login at the latest.
    expires_at: i64,
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
    /// A JSON Web Token, signed with a key of `/.well-known/jwks.json`.
    token: String,
    /// `Bearer`
    token_type: &'static str,
    /// Seconds until it ends.
    expires_in: u64,
}

impl From<IssuedSession> for Token {
    fn from(issued: IssuedSession) -> Self {
        let expires_in = issued.expires_at.since(issued.issued_at).seconds();
        Self { token: issued.token, token_type: "Bearer", expires_in }
    }
}

impl From<Session> for Bearing {
    fn from(session: Session) -> Self {
        Self {
            username: session.username,
            user_id: session.account.0,
            issued_at: session.issued_at.seconds(),
            expires_at: session.expires_at.seconds(),
        }
    }
}

impl From<SessionAnswer> for Response {
    fn from(answer: SessionAnswer) -> Self {
        match answer {
            SessionAnswer::Read(session) => Self::Read(session.into()),
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
