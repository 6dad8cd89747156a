//! `/function/session`: `GET` who bears it, `POST` make it last, `DELETE` end all of the account, or with `?this=1` this one.

use crate::{BodyIs, Call, Problem, Route, SessionChange, SessionUse};
use cofrap_accounts::{Bearer, IssuedSession, Session, SessionAnswer, SessionRequest, UnixTime};
use serde::Serialize;

/// The method, and `?this=1`.
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
            "DELETE" if is_this_alone(call.query)? => SessionRequest::End,
            "DELETE" => SessionRequest::EndAll,
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

/// Whether `this` is asked for: a value that nobody can read must not end more than was meant.
fn is_this_alone(query: &str) -> Result<bool, Problem> {
    let mut given = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "this");
    match given.next() {
        None => Ok(false),
        Some((_, value)) if value == "1" && given.next().is_none() => Ok(true),
        Some(_) => Err(Problem::invalid_field("this", "1, une fois, ou rien")),
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
    /// It is over, or all of the account are.
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
    /// Until when a new second factor waits for its first code, in seconds since the Unix epoch; absent when none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_second_factor_until: Option<i64>,
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

/// The session is over, or all of the account are.
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
                let pending_second_factor_until = session.pending_until.map(UnixTime::seconds);
                Self::Read(Current { session: session.into(), expires_in: left.seconds(), pending_second_factor_until })
            }
            SessionAnswer::Renewed(session, issued) => {
                let (issued_at, expires_at) = (issued.issued_at, issued.expires_at);
                let session = Session { issued_at, expires_at, ..session }.into();
                Self::Renewed(Renewed { session, token: issued.into() })
            }
            SessionAnswer::Ended(session) => {
                Self::Ended(Ended { success: true, username: session.username, message: "Cette session est terminée" })
            }
            SessionAnswer::AllEnded(session) => Self::Ended(Ended {
                success: true,
                username: session.username,
                message: "Toutes les sessions de ce compte sont terminées",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_1_ends_this_session_alone_and_another_value_ends_none() {
        for (query, expected) in
            [("", Some(false)), ("x=1", Some(false)), ("this=1", Some(true)), ("a=b&this=1", Some(true))]
        {
            assert_eq!(is_this_alone(query).ok(), expected, "{query}");
        }
        for query in ["this", "this=", "this=0", "this=true", "this=1&this=1", "this=1&this=0"] {
            assert!(is_this_alone(query).is_err(), "{query}");
        }
    }
}
