//! A component that tells what its host gives it: the tests of the local host ask it. It never ships.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use spin_sdk::http::{Headers, IncomingRequest, OutgoingResponse, ResponseOutparam};
use spin_sdk::pg4::{Connection, ParameterValue};
use spin_sdk::variables;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts this instance's requests: always one.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let path = request.path_with_query().unwrap_or_default();
    let headers = request.headers();
    let body = request.into_body().await.map(String::from_utf8);
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let mut lines = body.lines().map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let answer = match path.rsplit('/').next().unwrap_or_default() {
        "variable" => format!("{:?}", variables::get(&line())),
        "print" => {
            println!("{}", line());
            String::new()
        }
        "requests" => (REQUESTS.fetch_add(1, Ordering::Relaxed) + 1).to_string(),
        "trap" => panic!("the probe was asked to"),
        "open" => format!("{:?}", Connection::open(&line()).map(|_| ())),
        "query" => {
            let (address, statement) = (line(), line());
            let parameters: Vec<_> = lines.map(|text| parameter(&text)).collect();
            format!("{:?}", Connection::open(&address).and_then(|connection| connection.query(&statement, &parameters)))
        }
        "execute" => {
            let (address, statement) = (line(), line());
            let parameters: Vec<_> = lines.map(|text| parameter(&text)).collect();
            format!(
                "{:?}",
                Connection::open(&address).and_then(|connection| connection.execute(&statement, &parameters))
            )
        }
        _ => all(&headers),
    };
    let response = OutgoingResponse::new(Headers::new());
    let _ = out.set_with_body(response, answer.into_bytes()).await;
}

fn all(headers: &Headers) -> String {
    headers.entries().iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value));
        text
    })
}

/// `int32 5`, `int64 5`, `str text`, `bool true`, `null`, `uuid text`.
fn parameter(text: &str) -> ParameterValue {
    let (kind, value) = text.split_once(' ').unwrap_or((text, ""));
    match kind {
        "int32" => ParameterValue::Int32(value.parse().unwrap_or_default()),
        "int64" => ParameterValue::Int64(value.parse().unwrap_or_default()),
        "bool" => ParameterValue::Boolean(value == "true"),
        "uuid" => ParameterValue::Uuid(value.to_owned()),
        "null" => ParameterValue::DbNull,
        _ => ParameterValue::Str(value.to_owned()),
    }
}
