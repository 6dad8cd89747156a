//! The envelope around every function: method, media type, size, JSON, configuration, headers, the log line.

use crate::arrival::Arrival;
use crate::body::{self, Body};
use crate::config::{ReadKeys, SpinVariables, policy, postgres_address, settings};
use crate::pg_store::{PgStore, SCHEMA_VERSION};
use crate::platform::{SystemClock, SystemRng};
use cofrap_accounts::{Env, GenerationKeys, Policy, check_health};
use cofrap_api::{BodyIs, Call, Code, Problem, Route, health, jwks, not_found, openapi};
use cofrap_crypto::TokenKeys;
use serde::Serialize;
use spin_sdk::http::{Headers, IncomingRequest, OutgoingResponse, ResponseOutparam};
use std::io::Write;

/// What operations run in: the platform's clock and random source, the database, and the keys that they need.
pub type SpinEnv<K> = Env<PgStore, SystemClock, SystemRng, K>;

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
pub async fn serve<R: Route, K: ReadKeys>(
    request: IncomingRequest,
    out: ResponseOutparam,
    operation: impl FnOnce(&mut SpinEnv<K>, R::Command) -> Result<R::Response, Problem>,
) {
    respond(request, out, R::METHODS, |arrival, body| {
        let body = accept(R::BODY, arrival, body)?;
        let call = Call { method: &arrival.method, query: &arrival.query, bearer: arrival.bearer(), body: &body };
        let command = R::read(call)?;
        let response = operation(&mut open_env(arrival)?, command)?;
        to_json(&response)
    })
    .await;
}

/// Serves one request for a path that no function has.
pub async fn serve_not_found(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, &[], |_, _| Err(not_found::problem())).await;
}

/// Serves what the functions need, and whether it is there.
pub async fn serve_health(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, health::METHODS, |_, _| {
        let keys = GenerationKeys::read(&SpinVariables).map(|keys| keys.keyring);
        let policy = policy(&SpinVariables).and_then(|policy| settings(&SpinVariables).map(|_| policy));
        let mut store = PgStore::at(postgres_address(&SpinVariables).map_err(Problem::unavailable)?);
        let (health, missing) =
            check_health(&mut store, keys.as_ref().ok(), policy.as_ref().ok().copied(), SCHEMA_VERSION);
        let cause = keys.err().or(policy.err()).map(|error| error.to_string());
        let cause = cause.or_else(|| missing.map(|error| error.to_string()));
        to_json(&health::answer(&health, cause)?)
    })
    .await;
}

/// Serves the public keys of sessions.
pub async fn serve_key_set(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, jwks::METHODS, |_, _| {
        let keys = TokenKeys::read(&SpinVariables).map_err(Problem::unavailable)?;
        to_json(&jwks::Response::from(keys.public_keys()))
    })
    .await;
}

/// Serves the contract.
pub async fn serve_openapi(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, openapi::METHODS, |_, _| Ok(openapi::DOCUMENT.into())).await;
}

/// Reads a request to its end, and answers it. A route without methods answers all of them.
async fn respond(
    request: IncomingRequest,
    out: ResponseOutparam,
    methods: &[&str],
    answer: impl FnOnce(&Arrival, Body) -> Result<Vec<u8>, Problem>,
) {
    let arrival = Arrival::of(&request);
    let body = body::read(request).await;
    let is_offered = methods.is_empty() || methods.contains(&arrival.method.as_str());
    let answer = if is_offered { answer(&arrival, body) } else { Err(Problem::new(Code::MethodNotAllowed)) };
    send(out, &arrival, methods, answer).await;
}

/// The order of the checks is part of the contract.
fn accept(rule: BodyIs, arrival: &Arrival, body: Body) -> Result<zeroize::Zeroizing<Vec<u8>>, Problem> {
    if rule == BodyIs::Json && !arrival.declares_json {
        return Err(Problem::new(Code::UnsupportedMediaType));
    }
    match body {
        Body::Whole(body) => Ok(body),
        Body::TooLarge => Err(Problem::new(Code::BodyTooLarge)),
        Body::Broken => Err(Problem::new(Code::InvalidJson)),
    }
}

fn open_env<K: ReadKeys>(arrival: &Arrival) -> Result<SpinEnv<K>, Problem> {
    let (settings, trusted_hops) = settings(&SpinVariables).map_err(Problem::unavailable)?;
    Ok(Env {
        store: PgStore::at(postgres_address(&SpinVariables).map_err(Problem::unavailable)?),
        clock: SystemClock,
        rng: SystemRng::default(),
        keys: K::read(&SpinVariables).map_err(Problem::unavailable)?,
        caller: arrival.caller(trusted_hops),
        settings,
    })
}

fn to_json(body: &impl Serialize) -> Result<Vec<u8>, Problem> {
    // What the error could say weighs 2 kB, and no response has anything that is no JSON.
    serde_json::to_vec(body).map_err(|_| Problem::unavailable("the response is no JSON"))
}

async fn send(out: ResponseOutparam, arrival: &Arrival, methods: &[&str], answer: Result<Vec<u8>, Problem>) {
    let (status, body, problem) = match answer {
        Ok(body) => (200, body, None),
        Err(problem) => (problem.code().status(), to_json(&problem).unwrap_or_default(), Some(problem)),
    };
    log(arrival, status, problem.as_ref());

    let mut headers: Vec<_> = HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    if status == 405 {
        headers.push(("allow".to_owned(), methods.join(", ").into_bytes()));
    }
    if let Some(seconds) = problem.as_ref().and_then(Problem::retry_after) {
        headers.push(("retry-after".to_owned(), seconds.to_string().into_bytes()));
    }
    let headers = Headers::from_list(&headers).expect("the names and values above are well-formed");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("every status is between 100 and 599");
    // Who does not wait for the answer has it in the log line above.
    let _ = out.set_with_body(response, body).await;
}

/// One line for each request, as JSON, so that nothing in it can look like another line. No names, no secrets.
#[derive(Serialize)]
struct LogLine<'a> {
    level: &'static str,
    route: &'a str,
    method: &'a str,
    status: u16,
    code: Option<Code>,
    client: Option<String>,
    cause: Option<&'a str>,
    /// Said of every request while it is not the strict one: each is a start of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'static str>,
}

fn log(arrival: &Arrival, status: u16, problem: Option<&Problem>) {
    let cause = problem.and_then(Problem::cause);
    let lax = policy(&SpinVariables).ok().filter(|policy| *policy != Policy::Strict);
    let line = LogLine {
        level: match (&cause, lax) {
            (Some(_), _) => "error",
            (None, Some(_)) => "warning",
            (None, None) => "info",
        },
        route: &arrival.route,
        method: &arrival.method,
        status,
        code: problem.map(Problem::code),
        client: arrival.peer().map(|address| address.to_string()),
        cause,
        policy: lax.map(Policy::as_str),
    };
    let mut line = serde_json::to_vec(&line).unwrap_or_default();
    line.push(b'\n');
    let _ = std::io::stdout().write_all(&line);
}
