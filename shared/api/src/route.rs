//! What a route is: how it is described, and how it reads a request.

use crate::code::Code;
use crate::problem::Problem;
use cofrap_accounts::Bearer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A component, the paths that lead to it, and everything that is said about it: the manifest, the documents, the envelope and the tests
/// read it here.
#[derive(Debug)]
pub struct Route {
    /// Spin's id of the component: the name of its folder, of its module in this crate and of its acceptance tests. It says `mfa` where a
    /// path says `2fa`, because Spin refuses ids in which a word starts with a digit.
    pub component: &'static str,
    /// The paths, as the manifest has them.
    pub paths: &'static [&'static str],
    /// What the component does, for the manifest.
    pub summary: &'static str,
    /// One for each method. A route without any answers every method.
    pub operations: &'static [Operation],
    /// What it does with a body.
    pub body: BodyIs,
    /// What it does with sessions.
    pub session: SessionUse,
    /// Whose bearer token it takes.
    pub bearer: BearerOf,
    /// The variables that its component reads besides `settings`. It is granted no others.
    pub variables: &'static [&'static str],
    /// Whom it is for. A gateway's public host name leads to no operators' route.
    pub audience: Audience,
    /// Which application of a cluster runs it.
    pub application: Application,
}

/// One method of a route.
#[derive(Debug)]
pub struct Operation {
    /// The method.
    pub method: &'static str,
    /// What it does, for the documents.
    pub summary: &'static str,
    /// The parameters of its query.
    pub query: &'static [Parameter],
    /// The statuses of its errors, besides those that every route has.
    pub errors: &'static [u16],
    /// The schema of its body, if it has one.
    pub request: Option<SchemaOf>,
    /// The schema of its answer; none if that is no JSON of ours.
    pub answer: Option<SchemaOf>,
}

/// A parameter of a query.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type in JSON Schema.
    pub kind: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// How the documents describe a type. Components are built without the feature `openapi`, and carry no schemas.
#[derive(Clone, Copy, Debug)]
pub struct SchemaOf(#[cfg(feature = "openapi")] pub(crate) fn(&mut schemars::SchemaGenerator) -> schemars::Schema);

/// The schema of a type.
#[cfg(feature = "openapi")]
#[expect(clippy::unnecessary_wraps, reason = "the table's fields are optional")]
pub(crate) const fn schema_of<T: schemars::JsonSchema>() -> Option<SchemaOf> {
    Some(SchemaOf(schemars::SchemaGenerator::subschema_for::<T>))
}

/// The schema of a type, which only the documents need.
#[cfg(not(feature = "openapi"))]
#[expect(clippy::extra_unused_type_parameters, clippy::unnecessary_wraps, reason = "the same signature with `openapi`")]
pub(crate) const fn schema_of<T>() -> Option<SchemaOf> {
    Some(SchemaOf())
}

/// What a route does with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyIs {
    /// It takes one JSON object, declared as such.
    Json,
    /// It reads the body to its end, and ignores it.
    Ignored,
}

/// What a route does with sessions. A browser's cookie is read only where a session is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionUse {
    /// Nothing.
    Ignored,
    /// It accepts one.
    Accepted,
    /// It issues one.
    Issued,
}

/// Whose bearer token a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerOf {
    /// None.
    Nobody,
    /// A session.
    Session,
    /// A session or the operator's token, or none.
    SessionOrOperator,
    /// The operator's token, or none.
    OperatorMaybe,
    /// The operator's token.
    Operator,
    /// The monitoring system's token.
    Monitoring,
}

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// People and programs, from anywhere.
    Everyone,
    /// Those who run the service.
    Operators,
}

/// A cluster runs the components as two applications of one image, so that the hashes of API version 1 take the processors of their own
/// pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// API version 2, sessions, pages and the operators' functions.
    Second,
    /// API version 1, which hashes passwords.
    First,
    /// In each.
    Both,
}

impl Operation {
    pub(crate) const fn get(summary: &'static str, errors: &'static [u16], answer: Option<SchemaOf>) -> Self {
        Self { method: "GET", summary, query: &[], errors, request: None, answer }
    }

    pub(crate) const fn post(
        summary: &'static str,
        errors: &'static [u16],
        request: Option<SchemaOf>,
        answer: Option<SchemaOf>,
    ) -> Self {
        Self { method: "POST", summary, query: &[], errors, request, answer }
    }

    pub(crate) const fn delete(summary: &'static str, errors: &'static [u16], answer: Option<SchemaOf>) -> Self {
        Self { method: "DELETE", summary, query: &[], errors, request: None, answer }
    }
}

impl Route {
    /// Whether it answers a method with anything but 405.
    #[must_use]
    pub fn answers(&self, method: &str) -> bool {
        self.operations.is_empty() || self.operations.iter().any(|operation| operation.method == method)
    }

    /// Its methods, in the table's order.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> {
        self.operations.iter().map(|operation| operation.method)
    }
}

/// A request, as far as any route reads it.
#[derive(Debug)]
pub struct Call<'a> {
    /// One of the route's methods.
    pub method: &'a str,
    /// The query, still percent-encoded.
    pub query: &'a str,
    /// The bearer token.
    pub bearer: Bearer,
    /// The body, within the size limit.
    pub body: &'a [u8],
}

/// How a route reads a request, and what it answers.
pub trait Endpoint {
    /// What the operation is given.
    type Command;

    /// The answer of a success.
    type Response: Serialize;

    /// Reads the request.
    ///
    /// # Errors
    /// The [`Problem`] of the first field that is missing or malformed, which names it.
    fn read(call: Call<'_>) -> Result<Self::Command, Problem>;
}

/// A JSON body that becomes a command: what most routes take.
pub trait JsonBody: DeserializeOwned {
    /// What the operation is given.
    type Command;

    /// The answer of a success.
    type Response: Serialize;

    /// Reads every field.
    ///
    /// # Errors
    /// The [`Problem`] of the first field that is missing or malformed, which names it.
    fn into_command(self, bearer: Bearer) -> Result<Self::Command, Problem>;
}

impl<B: JsonBody> Endpoint for B {
    type Command = B::Command;
    type Response = B::Response;

    fn read(call: Call<'_>) -> Result<B::Command, Problem> {
        parse_object::<B>(call.body)?.into_command(call.bearer)
    }
}

/// Parses a body: UTF-8, one JSON object, each known field at most once. Unknown fields are ignored.
fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let invalid = || Problem::new(Code::InvalidJson);
    let text = str::from_utf8(body).map_err(|_| invalid())?;
    // Serde fills a struct from an array as well; the contract wants an object.
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(invalid());
    }
    serde_json::from_str(text).map_err(|_| invalid())
}

/// The answer of a success, and what happens to the caller's session.
#[derive(Debug)]
pub struct Reply<T> {
    /// The answer's body, without a session's token.
    pub body: T,
    /// What happens to the session.
    pub session: SessionChange,
}

/// What happens to the caller's session.
#[derive(Debug)]
pub enum SessionChange {
    /// Nothing.
    Unchanged,
    /// It gets this token, in the body or in a cookie.
    Issued(SessionToken),
    /// It ends.
    Ended,
}

/// A session's token.
#[derive(Debug)]
pub struct SessionToken {
    /// The token.
    pub token: String,
    /// Its lifetime in seconds.
    pub expires_in: u64,
}

impl<T> From<T> for Reply<T> {
    fn from(body: T) -> Self {
        Self { body, session: SessionChange::Unchanged }
    }
}
