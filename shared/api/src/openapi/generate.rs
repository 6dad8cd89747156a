//! Writes the document from the types that requests and answers are made of.

use crate::health_parts;
use crate::problem::{Expired, Locked, NotAuthenticated, Weak};
use crate::route::{BearerOf, BodyIs, Operation, Parameter, Route, SessionUse};
use crate::routes::ROUTES;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Statuses that every function may answer with, whatever it does.
const COMMON: [u16; 2] = [405, 503];

/// Statuses of every function that takes a JSON body.
const OF_JSON: [u16; 3] = [400, 413, 415];

/// The document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        "/components/schemas".clone_into(settings.definitions_path.to_mut());
    });
    let mut types = settings.into_generator();
    let error = error_schema(&mut types);
    let parts = types.subschema_for::<health_parts::Parts>();
    let expired = types.subschema_for::<Expired>();
    let locked = types.subschema_for::<Locked>();
    let (weak, not_authenticated) = (types.subschema_for::<Weak>(), types.subschema_for::<NotAuthenticated>());

    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES.iter().filter(|route| route.paths.iter().all(|path| !path.ends_with("..."))) {
        for operation in route.operations {
            let path = paths.entry(route.paths[0]).or_insert_with(|| json!({}));
            path[operation.method.to_lowercase()] = describe(route, operation, &mut types);
        }
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

fn describe(route: &Route, operation: &Operation, types: &mut SchemaGenerator) -> Value {
    let path = route.paths[0];
    let json_answer = |description: &str, schema: &Value| json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    let done = match operation.answer {
        Some(answer) => json_answer("Done", (answer.0)(types).as_value()),
        None if route.component == "openapi" => json_answer("Done", &json!({ "type": "object" })),
        None => json!({ "description": "Done", "content": { "text/plain": { "schema": { "type": "string" } } } }),
    };
    let mut responses = Map::from_iter([("200".to_owned(), done)]);
    let of_json = if route.body == BodyIs::Json { &OF_JSON[..] } else { &[] };
    for status in operation.errors.iter().chain(&COMMON).chain(of_json) {
        let name = match (status, path) {
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
    if let Some(request) = operation.request {
        let request = (request.0)(types);
        described["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": request } } });
    }
    let query = |Parameter { name, kind, meaning }: &Parameter| json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": kind } });
    let header = || {
        json!({
            "name": "Cofrap-Session", "in": "header", "schema": { "const": "cookie" },
            "description": "`cookie`: the session is set as a cookie, and not in the answer; only for pages of this site",
        })
    };
    let parameters: Vec<_> =
        operation.query.iter().map(query).chain((route.session == SessionUse::Issued).then(header)).collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    match route.bearer {
        BearerOf::Nobody => {}
        BearerOf::Session => described["security"] = json!([{ "session": [] }, { "cookie": [] }]),
        BearerOf::Operator => described["security"] = json!([{ "operator": [] }]),
        BearerOf::Monitoring => described["security"] = json!([{ "monitoring": [] }]),
        BearerOf::OperatorMaybe => described["security"] = json!([{}, { "operator": [] }]),
        BearerOf::SessionOrOperator => {
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
            "error": { "type": "string", "description": "For people: in French, but for API version 1's own texts." },
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
