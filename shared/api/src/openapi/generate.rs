//! Writes the document from the types that requests and answers are made of.

use crate::problem::{Expired, Locked, NotAuthenticated, Weak};
use crate::{
    activity, administer_account, audit_log, authenticate_user_v2, authentication, create_account_secure, generate_mfa,
    generate_mfa_v2, generate_password, generate_password_v2, health, jwks, maintain, rotate_keys, second_factor,
    session, sessions, verify_mfa,
};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Statuses that every function may answer with, whatever it does.
const COMMON: [u16; 2] = [405, 503];

/// Statuses of every function that takes a JSON body.
const OF_JSON: [u16; 3] = [400, 413, 415];

/// One method of one route.
struct Operation {
    path: &'static str,
    method: &'static str,
    summary: &'static str,
    request: Option<Schema>,
    query: &'static [(&'static str, &'static str, &'static str)],
    /// Whether the answer may hold a session, which goes into a cookie for who asks for that.
    gives_session: bool,
    answer: Schema,
    /// Besides the common ones.
    errors: &'static [u16],
    bearer: Bearer,
}

/// Whose bearer token a route takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bearer {
    Nobody,
    Session,
    SessionOrOperator,
    OperatorMaybe,
    Operator,
    Monitoring,
}

impl Operation {
    /// One without a body, a query or a bearer.
    fn new(path: &'static str, method: &'static str, summary: &'static str, answer: Schema) -> Self {
        let gives_session = false;
        Self {
            path,
            method,
            summary,
            request: None,
            query: &[],
            gives_session,
            answer,
            errors: &[],
            bearer: Bearer::Nobody,
        }
    }
}

/// What people's programs call.
fn of_people(types: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        Operation {
            request: Some(types.subschema_for::<generate_password_v2::Request>()),
            errors: &[401, 403, 409, 429],
            bearer: Bearer::SessionOrOperator,
            ..Operation::new(
                "/function/generate-password-v2",
                "post",
                "A new account's password, a fresh start for an account that never logged in, or with proof an active \
                 account's new password",
                types.subschema_for::<generate_password_v2::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<generate_mfa_v2::Request>()),
            errors: &[401, 403, 404, 409, 429],
            bearer: Bearer::SessionOrOperator,
            ..Operation::new(
                "/function/generate-2fa-v2",
                "post",
                "The secret of an account's one-time codes; on an active account it waits for its first code",
                types.subschema_for::<generate_mfa_v2::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<authenticate_user_v2::Request>()),
            gives_session: true,
            errors: &[401, 403, 429],
            ..Operation::new(
                "/function/authenticate-user-v2",
                "post",
                "Judges a password and a code together",
                types.subschema_for::<authenticate_user_v2::Response>(),
            )
        },
        Operation {
            errors: &[401],
            bearer: Bearer::Session,
            ..Operation::new(
                "/function/session",
                "get",
                "Who bears a session",
                types.subschema_for::<session::Current>(),
            )
        },
        Operation {
            errors: &[401, 403, 413, 415],
            bearer: Bearer::Session,
            ..Operation::new(
                "/function/session",
                "post",
                "Makes a session last, 12 hours after its login at most",
                types.subschema_for::<session::Renewed>(),
            )
        },
        Operation {
            query: &[("this", "integer", "`1`: this one alone; any other value is refused")],
            errors: &[400, 401, 403, 413, 415],
            bearer: Bearer::Session,
            ..Operation::new(
                "/function/session",
                "delete",
                "Ends all sessions of the account, or this one alone",
                types.subschema_for::<session::Ended>(),
            )
        },
        Operation {
            errors: &[401],
            bearer: Bearer::Session,
            ..Operation::new(
                "/function/sessions",
                "get",
                "The bearer's sessions that may still hold",
                types.subschema_for::<sessions::Response>(),
            )
        },
        Operation {
            errors: &[401, 403, 413, 415],
            bearer: Bearer::Session,
            ..Operation::new(
                "/function/second-factor",
                "delete",
                "Drops a new second factor that waits for its first code; the session's login is at most 5 minutes ago",
                types.subschema_for::<second_factor::Response>(),
            )
        },
        Operation {
            errors: &[401],
            bearer: Bearer::Session,
            ..Operation::new(
                "/function/activity",
                "get",
                "The last attempts on the bearer's own account",
                types.subschema_for::<activity::Response>(),
            )
        },
    ]
}

/// What programs of the first generation call.
fn of_the_first_generation(types: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        Operation {
            request: Some(types.subschema_for::<create_account_secure::Request>()),
            errors: &[403, 409, 429],
            bearer: Bearer::OperatorMaybe,
            ..Operation::new(
                "/function/create-account-secure",
                "post",
                "An account with a password that its owner chose; the operator's token is only needed where only they create \
                 accounts",
                types.subschema_for::<create_account_secure::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<authentication::Request>()),
            errors: &[401, 403, 429],
            ..Operation::new(
                "/function/authentication",
                "post",
                "The first step of a login: judges a password, and gives a challenge for the second",
                types.subschema_for::<authentication::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<verify_mfa::Request>()),
            gives_session: true,
            errors: &[401, 403, 429],
            ..Operation::new(
                "/function/verify-2fa",
                "post",
                "Judges a code, and uses it up; with a challenge, that is the second step of a login",
                types.subschema_for::<verify_mfa::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<generate_password_v2::Request>()),
            errors: &[401, 403, 404, 409, 429],
            bearer: Bearer::SessionOrOperator,
            ..Operation::new(
                "/function/generate-password",
                "post",
                "As `generate-password-v2`, for accounts that exist; the password is in the answer",
                types.subschema_for::<generate_password::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<generate_mfa_v2::Request>()),
            errors: &[401, 403, 404, 409, 429],
            bearer: Bearer::SessionOrOperator,
            ..Operation::new(
                "/function/generate-2fa",
                "post",
                "As `generate-2fa-v2`, with the issuer `MSPR-App` whatever `issuer` says; the secret is in the answer",
                types.subschema_for::<generate_mfa::Response>(),
            )
        },
    ]
}

/// What operators' programs call.
fn of_operators(types: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        Operation {
            request: Some(types.subschema_for::<administer_account::Request>()),
            errors: &[401, 404, 409, 429],
            bearer: Bearer::Operator,
            ..Operation::new(
                "/function/administer-account",
                "post",
                "What an operator does with an account; 404 where there is no operator's token",
                types.subschema_for::<administer_account::Response>(),
            )
        },
        Operation {
            query: &[
                ("username", "string", "Attempts under this name only"),
                ("limit", "integer", "At most so many, 1 to 500; 100 if absent"),
                ("before", "integer", "Older than the entry of this number"),
            ],
            errors: &[400, 401, 404, 429],
            bearer: Bearer::Operator,
            ..Operation::new(
                "/function/audit-log",
                "get",
                "What was attempted, the newest first; 404 where there is no operator's token",
                types.subschema_for::<audit_log::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<rotate_keys::Request>()),
            errors: &[401, 404, 429],
            bearer: Bearer::Operator,
            ..Operation::new(
                "/function/rotate-keys",
                "post",
                "Seals a batch of stored secrets again, under the first key; 404 where there is no operator's token",
                types.subschema_for::<rotate_keys::Response>(),
            )
        },
        Operation {
            request: Some(types.subschema_for::<maintain::Request>()),
            errors: &[401, 404, 429],
            bearer: Bearer::Operator,
            ..Operation::new(
                "/function/maintain",
                "post",
                "A batch of maintenance: partitions of the audit, what is older than it is kept, counts; 404 where there is no operator's token",
                types.subschema_for::<maintain::Response>(),
            )
        },
        Operation {
            errors: &[404],
            bearer: Bearer::Monitoring,
            ..Operation::new(
                "/metrics",
                "get",
                "What a monitoring system asks for, in the text format of Prometheus; 404 unless its token is configured and shown",
                Schema::from(Map::from_iter([("type".to_owned(), json!("string"))])),
            )
        },
        Operation::new(
            "/function/health",
            "get",
            "Whether the functions can work, and which part is missing if they cannot",
            types.subschema_for::<health::Response>(),
        ),
        Operation::new(
            "/.well-known/jwks.json",
            "get",
            "The public keys of sessions, the one that signs first",
            types.subschema_for::<jwks::Response>(),
        ),
        Operation::new(
            "/openapi.json",
            "get",
            "This document",
            Schema::from(Map::from_iter([("type".to_owned(), json!("object"))])),
        ),
    ]
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        "/components/schemas".clone_into(settings.definitions_path.to_mut());
    });
    let mut types = settings.into_generator();
    let operations: Vec<_> =
        [of_people, of_the_first_generation, of_operators].iter().flat_map(|of| of(&mut types)).collect();
    let error = error_schema(&mut types);
    let parts = types.subschema_for::<health::Parts>();
    let expired = types.subschema_for::<Expired>();
    let locked = types.subschema_for::<Locked>();
    let (weak, not_authenticated) = (types.subschema_for::<Weak>(), types.subschema_for::<NotAuthenticated>());

    let mut paths: Map<String, Value> = Map::new();
    for operation in &operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation);
    }
    let mut schemas: Map<String, Value> = types.take_definitions(true);
    schemas.insert("Error".to_owned(), error);
    let reference = json!({ "$ref": "#/components/schemas/Error" });
    for (name, more) in [
        ("Refused", expired),
        ("Unwell", parts),
        ("IllFormed", weak),
        ("Unauthenticated", not_authenticated),
        ("Locked", locked),
    ] {
        schemas.insert(name.to_owned(), json!({ "anyOf": [{ "allOf": [reference, more] }, reference] }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "COFRAP authentication",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every path under `/function/` is also reachable under `/f/`. Errors are an `error` for people and a `code` for \
                            programs; codes never change, texts may.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "cookie": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-session",
                    "description": "A session in a browser. What is no GET then also needs `Sec-Fetch-Site: same-origin` or an `Origin` \
                                    that is the host which is asked, and `Content-Type: application/json` even without a body.",
                },
                "operator": { "type": "http", "scheme": "bearer" },
                "monitoring": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let json_answer = |description: &str, schema: &Value| json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    let done = if operation.path == "/metrics" {
        json!({ "description": "Done", "content": { "text/plain": { "schema": operation.answer } } })
    } else {
        json_answer("Done", operation.answer.as_value())
    };
    let mut responses = Map::from_iter([("200".to_owned(), done)]);
    let of_json = if operation.request.is_some() { &OF_JSON[..] } else { &[] };
    for status in operation.errors.iter().chain(&COMMON).chain(of_json) {
        let name = match (status, operation.path) {
            (403, _) => "Refused",
            (503, _) => "Unwell",
            (400, "/function/create-account-secure") => "IllFormed",
            (401, "/function/authentication") => "Unauthenticated",
            (429, _) => "Locked",
            _ => "Error",
        };
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        let meaning = match name {
            "IllFormed" => "The body or a field is ill-formed; a weak password has `reasons`: what to change",
            "Unauthenticated" => "The credentials do not hold; `authenticated` is false",
            _ => meaning(*status),
        };
        let mut answer = json_answer(meaning, &schema);
        if *status == 429 {
            answer["headers"]["Retry-After"] =
                json!({ "description": "Seconds to wait, at most 900", "schema": { "type": "integer" } });
        }
        responses.insert(status.to_string(), answer);
    }
    let mut described = json!({ "summary": operation.summary, "responses": responses });
    if let Some(request) = &operation.request {
        described["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": request } } });
    }
    let query = |(name, kind, description): &(&str, &str, &str)| json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind } });
    let header = || {
        json!({
            "name": "Cofrap-Session", "in": "header", "schema": { "const": "cookie" },
            "description": "`cookie`: the session is set as a cookie, and not in the answer; only for pages of this site",
        })
    };
    let parameters: Vec<_> = operation.query.iter().map(query).chain(operation.gives_session.then(header)).collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    match operation.bearer {
        Bearer::Nobody => {}
        Bearer::Session => described["security"] = json!([{ "session": [] }, { "cookie": [] }]),
        Bearer::Operator => described["security"] = json!([{ "operator": [] }]),
        Bearer::Monitoring => described["security"] = json!([{ "monitoring": [] }]),
        Bearer::OperatorMaybe => described["security"] = json!([{}, { "operator": [] }]),
        Bearer::SessionOrOperator => {
            described["security"] = json!([{}, { "session": [] }, { "cookie": [] }, { "operator": [] }]);
        }
    }
    described
}

const fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The body or a field is ill-formed; the text names the field",
        401 => "The credentials, or the token, do not hold",
        403 => {
            "Proof is needed, a second factor is to be enrolled first, a cookie came from elsewhere than a page of this site, or the credentials have expired: then with `renewal_token` and `renewal_expires_in`"
        }
        404 => "There is no such account, where that is said, or no such function",
        405 => "There is no such method; `Allow` says which there are",
        409 => "The name is taken, another request came first, or the account was altered outside of the functions",
        413 => "The body is larger than 16 KiB",
        415 => "The body is not declared as JSON",
        429 => "Too many attempts",
        _ => "Something that the functions need is not there; nothing was changed",
    }
}

fn error_schema(types: &mut SchemaGenerator) -> Value {
    json!({
        "type": "object",
        "description": "What every answer is that is no success.",
        "properties": {
            "error": { "type": "string", "description": "For people: in French, but for the first generation's own texts." },
            "code": types.subschema_for::<crate::Code>(),
        },
        "required": ["error", "code"],
    })
}

/// The document as a page for people.
#[must_use]
pub fn page(document: &Value) -> String {
    let mut page = "# The functions\n\nWritten by `cargo xtask openapi` from the types in `shared/api`; the same as \
                    `openapi.json`.\nEvery path under `/function/` is also reachable under `/f/`. Errors are \
                    `{\"error\": \"<text for people>\", \"code\": \"<snake_case>\"}`.\n"
        .to_owned();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let _ = write!(page, "\n## {} {path}\n\n{}.\n", method.to_uppercase(), text(&operation["summary"]));
            let _ = write!(page, "{}", bearer_line(&operation["security"]));
            let request = &operation["requestBody"]["content"]["application/json"]["schema"];
            write_fields(&mut page, "Takes", resolve(document, request));
            write_parameters(&mut page, &operation["parameters"]);
            let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            write_fields(&mut page, "Gives", resolve(document, answer));
            let errors =
                operation["responses"].as_object().into_iter().flatten().filter(|(status, _)| *status != "200");
            let errors: Vec<_> =
                errors.map(|(status, answer)| format!("{status} ({})", text(&answer["description"]))).collect();
            let _ = writeln!(page, "\nErrors: {}.", errors.join("; "));
        }
    }
    page
}

fn bearer_line(security: &Value) -> &'static str {
    let takes = |name: &str| security.as_array().into_iter().flatten().any(|scheme| scheme[name].is_array());
    let may_go_without = security.as_array().is_some_and(|schemes| schemes.iter().any(|scheme| scheme == &json!({})));
    match (takes("session"), takes("operator")) {
        (false, true) if may_go_without => "\nMay take `Authorization: Bearer` with the operator's token.\n",
        (true, true) => {
            "\nMay take `Authorization: Bearer` with a session or the operator's token, or a browser's cookie.\n"
        }
        (true, false) => "\nTakes `Authorization: Bearer` with a session, or a browser's cookie.\n",
        (false, true) => "\nTakes `Authorization: Bearer` with the operator's token.\n",
        (false, false) if takes("monitoring") => "\nTakes `Authorization: Bearer` with `metrics_token`.\n",
        (false, false) => "",
    }
}

fn write_fields(page: &mut String, title: &str, schema: &Value) {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else { return };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().map(text).collect();
    let _ = writeln!(page, "\n| {title} | |\n| --- | --- |");
    for (name, property) in properties {
        let optional = if required.contains(&name.as_str()) { "" } else { "?" };
        let _ = writeln!(page, "| `{name}`{optional} | {} |", text(&property["description"]).replace('\n', " "));
    }
}

fn write_parameters(page: &mut String, parameters: &Value) {
    let Some(parameters) = parameters.as_array() else { return };
    let _ = writeln!(page, "\n| Query or header | |\n| --- | --- |");
    for parameter in parameters {
        let _ = writeln!(page, "| `{}`? | {} |", text(&parameter["name"]), text(&parameter["description"]));
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_and_its_page_are_those_in_the_repository() {
        let document = document();
        let shipped: Value = serde_json::from_str(crate::openapi::DOCUMENT).unwrap();
        assert_eq!(shipped, document, "run `cargo xtask openapi`");
        assert_eq!(include_str!("../../../../docs/api.md"), page(&document), "run `cargo xtask openapi`");
    }
}
