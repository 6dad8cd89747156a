//! What a route takes and gives.

use crate::session::Token;
use crate::{Code, Problem};
use cofrap_accounts::Bearer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request, as far as any route reads it.
#[derive(Debug)]
pub struct Call<'a> {
    /// One of the route's methods.
    pub method: &'a str,
    /// What follows the question mark, still encoded.
    pub query: &'a str,
    /// The bearer token.
    pub bearer: Bearer,
    /// The body, within the size limit.
    pub body: &'a [u8],
}

/// What a route does with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyIs {
    /// A JSON object, declared as such.
    Json,
    /// Read to its end, and not looked at.
    Ignored,
}

/// What a route has to do with sessions: only where it has, a browser's cookie is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionUse {
    /// Nothing.
    Ignored,
    /// Who calls may bear one.
    Borne,
    /// Who calls may be given one.
    Given,
}

/// What an answer does with the caller's session.
pub enum SessionChange<'a> {
    /// Nothing.
    Unchanged,
    /// It holds a new one.
    Issued(&'a mut Token),
    /// It says that there is none any more.
    Ended,
}

/// A route: what it takes becomes a command of the domain.
pub trait Route {
    /// The methods that it has.
    const METHODS: &'static [&'static str];

    /// What it does with a body.
    const BODY: BodyIs;

    /// What it has to do with sessions.
    const SESSION: SessionUse = SessionUse::Ignored;

    /// What the domain is asked.
    type Command;

    /// What is answered on success.
    type Response: Serialize;

    /// Reads the request.
    ///
    /// # Errors
    /// The [`Problem`] of what is ill-formed, which names it.
    fn read(call: Call<'_>) -> Result<Self::Command, Problem>;

    /// What an answer does with the caller's session.
    #[must_use]
    fn session_change(_: &mut Self::Response) -> SessionChange<'_> {
        SessionChange::Unchanged
    }
}

/// A JSON body that becomes a command of the domain: what most routes take.
pub trait Endpoint: DeserializeOwned {
    /// What it has to do with sessions.
    const SESSION: SessionUse = SessionUse::Ignored;

    /// What the domain is asked.
    type Command;

    /// What is answered on success.
    type Response: Serialize;

    /// Reads every field.
    ///
    /// # Errors
    /// The [`Problem`] of the first field that is absent or ill-formed, which names it.
    fn into_command(self, bearer: Bearer) -> Result<Self::Command, Problem>;

    /// What an answer does with the caller's session.
    #[must_use]
    fn session_change(_: &mut Self::Response) -> SessionChange<'_> {
        SessionChange::Unchanged
    }
}

impl<E: Endpoint> Route for E {
    const METHODS: &'static [&'static str] = &["POST"];
    const BODY: BodyIs = BodyIs::Json;
    const SESSION: SessionUse = E::SESSION;
    type Command = E::Command;
    type Response = E::Response;

    fn read(call: Call<'_>) -> Result<E::Command, Problem> {
        parse_object::<E>(call.body)?.into_command(call.bearer)
    }

    fn session_change(response: &mut E::Response) -> SessionChange<'_> {
        E::session_change(response)
    }
}

/// Reads a body: UTF-8, one JSON object, its known fields at most once; unknown fields are ignored.
fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let invalid = || Problem::new(Code::InvalidJson);
    let text = str::from_utf8(body).map_err(|_| invalid())?;
    // Serde fills a struct from an array as well; the contract wants an object.
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(invalid());
    }
    serde_json::from_str(text).map_err(|_| invalid())
}
