//! `/function/session`: `GET` who bears it, `POST` make it last, `DELETE` end all of the account, or with `?this=1` this one.

use crate::{Call, Endpoint, Problem, Reply, SessionChange, SessionToken};
use cofrap_accounts::{Bearer, IssuedSession, Session, SessionAnswer, SessionRequest, UnixTime};
use serde::Serialize;

/// The method, and `?this=1`.
#[derive(Debug)]
pub struct Request;

impl Endpoint for Request {
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
    /// one was issued.
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
    #[cfg_attr(feature = "openapi", schemars(with = "Token"))]
    token: Lifetime,
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

/// What the body of an answer says of a session's token. The envelope adds the token itself, unless that goes into a cookie.
#[derive(Serialize)]
pub(crate) struct Lifetime {
    expires_in: u64,
}

/// A session's token and its lifetime, for the documents.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "SessionToken")]
#[expect(dead_code, clippy::struct_field_names, reason = "the schema is all that is used; RFC 6749's names")]
pub(crate) struct Token {
    /// A JSON Web Token, signed with a key of `/.well-known/jwks.json`; not where it is in a cookie.
    token: Option<String>,
    /// `Bearer`; not where it is in a cookie.
    token_type: Option<&'static str>,
    /// Seconds until it ends.
    expires_in: u64,
}

impl SessionToken {
    /// The token of a session that was issued, and what the body says of it.
    pub(crate) fn of(issued: IssuedSession) -> (Self, Lifetime) {
        let expires_in = issued.expires_at.since(issued.issued_at).seconds();
        (Self { token: issued.token, expires_in }, Lifetime { expires_in })
    }
}

impl SessionChange {
    /// The session of a login, and what the body says of its token; nothing where the policy issues none.
    pub(crate) fn issue(issued: Option<IssuedSession>) -> (Self, Option<Lifetime>) {
        match issued.map(SessionToken::of) {
            Some((token, lifetime)) => (Self::Issued(token), Some(lifetime)),
            None => (Self::Unchanged, None),
        }
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

impl From<SessionAnswer> for Reply<Response> {
    fn from(answer: SessionAnswer) -> Self {
        let ended = |session: Session, message| {
            let body = Response::Ended(Ended { success: true, username: session.username, message });
            Self { body, session: SessionChange::Ended }
        };
        match answer {
            SessionAnswer::Read(session, left) => {
                let pending_second_factor_until = session.pending_until.map(UnixTime::seconds);
                let session = session.into();
                Response::Read(Current { session, expires_in: left.seconds(), pending_second_factor_until }).into()
            }
            SessionAnswer::Renewed(session, issued) => {
                let (issued_at, expires_at) = (issued.issued_at, issued.expires_at);
                let session = Session { issued_at, expires_at, ..session }.into();
                let (issued, token) = SessionToken::of(issued);
                Self { body: Response::Renewed(Renewed { session, token }), session: SessionChange::Issued(issued) }
            }
            SessionAnswer::Ended(session) => ended(session, "Cette session est terminée"),
            SessionAnswer::AllEnded(session) => ended(session, "Toutes les sessions de ce compte sont terminées"),
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
