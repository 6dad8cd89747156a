//! Every answer, compared with `openapi.json`.

use crate::answer::Answer;
use cofrap_api::openapi::DOCUMENT;
use http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

/// What the document says.
struct Contract {
    /// By path, method and status; methods in lower case.
    answers: HashMap<(String, String, u16), Validator>,
    /// What every error is.
    error: Validator,
}

impl Contract {
    fn read() -> Self {
        let document: Value = serde_json::from_str(DOCUMENT).expect("JSON");
        let components = &document["components"];
        // References lead into the document, so it comes along.
        let validator = |schema: &Value| {
            let schema = json!({ "allOf": [schema], "components": components });
            jsonschema::draft202012::new(&schema).expect("a schema")
        };
        let mut answers = HashMap::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                for (status, answer) in operation["responses"].as_object().expect("responses") {
                    let status = status.parse().expect("a status");
                    // The metrics are no JSON.
                    let Some(answer) = answer["content"].get("application/json") else { continue };
                    let schema = &answer["schema"];
                    answers.insert((path.clone(), method.clone(), status), validator(schema));
                }
            }
        }
        Self { answers, error: validator(&json!({ "$ref": "#/components/schemas/Error" })) }
    }

    fn knows(&self, path: &str) -> bool {
        self.answers.keys().any(|(known, _, _)| known == path)
    }
}

/// Panics when the document does not allow the answer.
#[track_caller]
pub(crate) fn check_documented(method: &Method, path: &str, answer: &Answer) {
    // Pages are no part of it, but for what they do not do.
    let is_page =
        !["/function/", "/f/", "/.well-known/", "/openapi.json"].iter().any(|prefix| path.starts_with(prefix));
    if *method == Method::HEAD || is_page && answer.status != 405 {
        return;
    }
    let path = path.replacen("/f/", "/function/", 1);
    let path = path.strip_suffix('/').unwrap_or(&path);
    let body = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("JSON expected: {}", answer.body));
    let key = (path.to_owned(), method.as_str().to_lowercase(), answer.status);
    let validator = match CONTRACT.answers.get(&key) {
        Some(validator) => validator,
        // A method or a path that there is not.
        None if answer.status == 405 || !CONTRACT.knows(path) => &CONTRACT.error,
        None => panic!("openapi.json has no {method} {path} {}: {}", answer.status, answer.body),
    };
    if let Err(error) = validator.validate(&body) {
        panic!("openapi.json does not allow {method} {path} {}: {error}: {}", answer.status, answer.body);
    }
}
