//! The envelope around every function: method, media type, size, JSON, configuration, headers, the log line.

use crate::arrival::Arrival;
use crate::body::{self, Body};
use crate::config::Config;
use crate::pg_store::PgStore;
use crate::platform::{SystemClock, SystemRng};
use cofrap_accounts::{Caller, Env};
use cofrap_api::{Code, Endpoint, Problem, not_found, parse_body};
use serde::Serialize;
use spin_sdk::http::{Headers, IncomingRequest, Method, OutgoingResponse, ResponseOutparam};
use std::net::IpAddr;

/// What operations run in: the platform's clock and random source, and the database.
pub type SpinEnv = Env<PgStore, SystemClock, SystemRng>;

/// The headers of every answer.
const HEADERS: [(&str, &str); 6] = [
    ("content-type", "application/json; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

/// Serves one request of a function: everything around `operation` is the same for all.
pub async fn serve<E: Endpoint>(
    request: IncomingRequest,
    out: ResponseOutparam,
    operation: impl FnOnce(&mut SpinEnv, E::Command) -> Result<E::Response, Problem>,
) {
    let arrival = Arrival::of(&request);
    let body = body::read(request).await;
    let answer = answer::<E>(&arrival, body, operation).and_then(|response| to_json(&response));
    send(out, &arrival, answer).await;
}

/// Serves one request for a path that no function has.
pub async fn serve_not_found(request: IncomingRequest, out: ResponseOutparam) {
    let arrival = Arrival::of(&request);
    body::read(request).await;
    send(out, &arrival, Err(not_found::problem())).await;
}

/// The order of the checks is part of the contract.
fn answer<E: Endpoint>(
    arrival: &Arrival,
    body: Body,
    operation: impl FnOnce(&mut SpinEnv, E::Command) -> Result<E::Response, Problem>,
) -> Result<E::Response, Problem> {
    if arrival.method != Method::Post {
        return Err(Problem::new(Code::MethodNotAllowed));
    }
    if !arrival.declares_json {
        return Err(Problem::new(Code::UnsupportedMediaType));
    }
    let body = match body {
        Body::Whole(body) => body,
        Body::TooLarge => return Err(Problem::new(Code::BodyTooLarge)),
        Body::Broken => return Err(Problem::new(Code::InvalidJson)),
    };
    let command = parse_body::<E>(&body)?;
    operation(&mut open_env(arrival.caller.clone())?, command)
}

fn open_env(caller: Caller) -> Result<SpinEnv, Problem> {
    let config = Config::read().map_err(Problem::unavailable)?;
    let store = PgStore::open(&config.postgres_address)?;
    let rng = SystemRng::default();
    Ok(Env { store, clock: SystemClock, rng, keyring: config.keyring, caller, settings: config.settings })
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(body).map_err(Problem::unavailable)
}

async fn send(out: ResponseOutparam, arrival: &Arrival, answer: Result<Vec<u8>, Problem>) {
    let (status, body, problem) = match answer {
        Ok(body) => (200, body, None),
        Err(problem) => (problem.code().status(), to_json(&problem).unwrap_or_default(), Some(problem)),
    };
    log(arrival, status, problem.as_ref());

    let mut headers: Vec<_> = HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    if status == 405 {
        headers.push(("allow".to_owned(), "POST".into()));
    }
    let headers = Headers::from_list(&headers).expect("the names and values above are well-formed");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("every status is between 100 and 599");
    if let Err(error) = out.set_with_body(response, body).await {
        eprintln!("the client left before its answer: {error}");
    }
}

/// One line for each request, as JSON, so that nothing in it can look like another line. No names, no secrets.
#[derive(Serialize)]
struct LogLine<'a> {
    level: &'static str,
    route: &'a str,
    method: String,
    status: u16,
    code: Option<Code>,
    client: Option<IpAddr>,
    cause: Option<String>,
}

fn log(arrival: &Arrival, status: u16, problem: Option<&Problem>) {
    let cause = problem.and_then(Problem::cause).map(ToString::to_string);
    let line = LogLine {
        level: if cause.is_some() { "error" } else { "info" },
        route: &arrival.route,
        method: arrival.method.to_string(),
        status,
        code: problem.map(Problem::code),
        client: arrival.caller.address,
        cause,
    };
    println!("{}", serde_json::to_string(&line).unwrap_or_default());
}
