//! The envelope around every function: method, media type, size, JSON, configuration, headers, the log line.

use crate::body::{self, Body};
use crate::config::{ConfigError, ReadKeys, SpinVariables, checked_connection_string, connection_string};
use crate::headers::RequestHeaders;
use crate::operator_settings::OperatorSettings;
use crate::pg_store::{PgStore, SCHEMA_VERSION};
use crate::platform::{SystemClock, SystemRng};
use crate::request_head::RequestHead;
use crate::send::send_response;
use crate::session_cookie;
use crate::trace;
use cofrap_accounts::{
    Env, IssuanceKeys, ObservationStore, Policy, RequestContext, StoreError, check_health, read_metrics,
};
use cofrap_api::frontend::{PageRequest, Site};
use cofrap_api::{
    BodyIs, Call, Code, Endpoint, Problem, Reply, Route, SessionChange, SessionToken, health, jwks, metrics, not_found,
    openapi, routes,
};
use cofrap_crypto::TokenKeys;
use serde::Serialize;
use spin_sdk::http::{Headers, IncomingRequest, OutgoingResponse, ResponseOutparam};
use std::borrow::Cow;
use std::io::Write;

/// An operation's environment on Spin.
pub type SpinEnv<K> = Env<PgStore, SystemClock, SystemRng, K>;

/// The headers of every answer in JSON.
const HEADERS: [(&str, &str); 6] = [
    ("content-type", "application/json; charset=utf-8"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

/// An answer.
struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Cow<'static, [u8]>,
}

impl Answer {
    fn json(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        let headers = HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        Self { status, headers, body: body.into() }
    }

    fn add(&mut self, name: &str, value: String) {
        self.headers.push((name.to_owned(), value.into_bytes()));
    }
}

/// Serves one request of a function. Everything around `operation` is the same for all functions.
pub async fn serve<E: Endpoint, K: ReadKeys, A: Into<Reply<E::Response>>>(
    request: IncomingRequest,
    out: ResponseOutparam,
    route: &Route,
    operation: impl FnOnce(&mut SpinEnv<K>, E::Command) -> Result<A, Problem>,
) {
    respond(request, out, route, |head, settings, body| {
        let body = accept(route.body, head, body)?;
        let call = Call { method: &head.method, query: head.query(), bearer: head.bearer(), body: &body };
        let command = E::read(call)?;
        let mut env = open_env(head, usable(settings)?)?;
        check_origin(head)?;
        let reply = operation(&mut env, command)?.into();
        deliver(reply, head.uses_cookie)
    })
    .await;
}

/// A body with the token of its session.
#[derive(Serialize)]
struct WithToken<'a, T> {
    #[serde(flatten)]
    body: &'a T,
    token: &'a str,
    token_type: &'static str,
}

/// Writes a reply. A session's token goes into the body, or into a cookie that scripts do not see.
fn deliver<T: Serialize>(reply: Reply<T>, uses_cookie: bool) -> Result<Answer, Problem> {
    let body = reply.body;
    let (answer, cookie) = match reply.session {
        SessionChange::Issued(SessionToken { token, expires_in }) if uses_cookie => {
            (to_json(&body)?, Some(session_cookie::set(&token, expires_in)))
        }
        SessionChange::Issued(SessionToken { token, .. }) => {
            (to_json(&WithToken { body: &body, token: &token, token_type: "Bearer" })?, None)
        }
        SessionChange::Ended if uses_cookie => (to_json(&body)?, Some(session_cookie::CLEARED.to_owned())),
        SessionChange::Ended | SessionChange::Unchanged => (to_json(&body)?, None),
    };
    let mut answer = answer;
    if let Some(cookie) = cookie {
        answer.add("set-cookie", cookie);
    }
    Ok(answer)
}

/// Serves one request for a path that no function has.
pub async fn serve_not_found(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, &routes::NOT_FOUND, |_, settings, _| {
        usable(settings)?;
        Err(not_found::problem())
    })
    .await;
}

/// Serves the health of the functions.
pub async fn serve_health(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, &routes::HEALTH, |_, settings, _| {
        let snapshot = match checked_connection_string(&SpinVariables) {
            Ok(address) => PgStore::at(address).read_health(),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        };
        let settings = settings.as_ref();
        let keys = settings.ok().map(|settings| IssuanceKeys::read(&SpinVariables, settings));
        let keyring = keys.as_ref().and_then(|keys| keys.as_ref().ok()).map(|keys| &keys.keyring);
        let configured = settings.ok().map(|settings| (settings.rules.policy, keyring));
        let (health, missing) = check_health(snapshot, configured);
        let wrong = settings.err().or(keys.as_ref().and_then(|keys| keys.as_ref().err()));
        let cause = wrong.map(ToString::to_string).or_else(|| missing.map(|error| error.to_string()));
        to_json(&health::answer(&health, SCHEMA_VERSION, &settings, cause)?)
    })
    .await;
}

/// Serves the metrics as text.
pub async fn serve_metrics(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, &routes::METRICS, |head, settings, _| {
        let mut env = open_env(head, usable(settings)?)?;
        let metrics = read_metrics(&mut env, &head.bearer())?;
        let mut answer = Answer::json(200, metrics::render(&metrics, SCHEMA_VERSION)?.into_bytes());
        for (name, value) in &mut answer.headers {
            if name == "content-type" {
                *value = metrics::CONTENT_TYPE.into();
            }
        }
        Ok(answer)
    })
    .await;
}

/// Serves the public keys of sessions.
pub async fn serve_key_set(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, &routes::JWKS, |_, settings, _| {
        let keys = TokenKeys::read(&SpinVariables, usable(settings)?).map_err(Problem::unavailable)?;
        to_json(&jwks::Response::from(keys.public_keys()))
    })
    .await;
}

/// Serves the `OpenAPI` document.
pub async fn serve_openapi(request: IncomingRequest, out: ResponseOutparam) {
    respond(request, out, &routes::OPENAPI, |_, settings, _| {
        usable(settings)?;
        Ok(Answer::json(200, openapi::DOCUMENT.as_bytes()))
    })
    .await;
}

/// Serves the web interface.
pub async fn serve_site(request: IncomingRequest, out: ResponseOutparam, site: &Site) {
    let target = request.path_with_query().unwrap_or_default();
    let headers = RequestHeaders::of(&request);
    let header = |name, separator| headers.values(name).join(separator);
    let (cookies, known) = (header("cookie", "; "), header("if-none-match", ", "));
    let (languages, encodings) = (header("accept-language", ", "), header("accept-encoding", ", "));
    drop(headers);
    respond_at(Paths::Any, request, out, &routes::FRONTEND, |_, settings, _| {
        let helpdesk = usable(settings)?.helpdesk.as_str();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let request = PageRequest {
            path,
            query,
            cookies: &cookies,
            languages: &languages,
            encodings: &encodings,
            known: &known,
            helpdesk,
        };
        let reply = site.answer(&request);
        let headers = reply.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
        Ok(Answer { status: reply.status, headers, body: reply.body })
    })
    .await;
}

/// Which of the paths that the platform routes to a component it answers.
#[derive(PartialEq, Eq)]
enum Paths {
    /// Paths with one leading slash. The platform ignores further slashes, and a gateway that closes a path would not have matched this one.
    AsWritten,
    /// All.
    Any,
}

/// Reads a request of a function to its end, and answers it. A route without methods answers all of them.
async fn respond(
    request: IncomingRequest,
    out: ResponseOutparam,
    route: &Route,
    answer: impl FnOnce(&RequestHead, &Result<OperatorSettings, ConfigError>, Body) -> Result<Answer, Problem>,
) {
    respond_at(Paths::AsWritten, request, out, route, answer).await;
}

#[expect(clippy::unused_async, reason = "the platform's handlers are asynchronous, and so are all that lead here")]
async fn respond_at(
    paths: Paths,
    request: IncomingRequest,
    out: ResponseOutparam,
    route: &Route,
    answer: impl FnOnce(&RequestHead, &Result<OperatorSettings, ConfigError>, Body) -> Result<Answer, Problem>,
) {
    let headers = RequestHeaders::of(&request);
    let head = RequestHead::of(&request, &headers, route.session);
    let body = body::read(&request, &headers);
    drop((headers, request));
    // Read once: each read costs time.
    let settings = OperatorSettings::read(&SpinVariables);
    let answer = if paths == Paths::AsWritten && head.has_more_slashes() {
        Err(not_found::problem())
    } else if route.answers(&head.method) {
        answer(&head, &settings, body)
    } else {
        Err(Problem::new(Code::MethodNotAllowed))
    };
    send(out, &head, &settings, route, answer);
}

/// The settings. If they cannot be read nothing is served: a default could reopen what an operator had closed.
fn usable(settings: &Result<OperatorSettings, ConfigError>) -> Result<&OperatorSettings, Problem> {
    settings.as_ref().map_err(Problem::unavailable)
}

/// Checks media type and size, in the contract's order. A change by cookie must be declared as JSON, which no HTML form can.
fn accept(rule: BodyIs, head: &RequestHead, body: Body) -> Result<zeroize::Zeroizing<Vec<u8>>, Problem> {
    if (rule == BodyIs::Json || head.writes_by_cookie()) && !head.declares_json {
        return Err(Problem::new(Code::UnsupportedMediaType));
    }
    match body {
        Body::Whole(body) => Ok(body),
        Body::TooLarge => Err(Problem::new(Code::BodyTooLarge)),
        Body::Broken => Err(Problem::new(Code::InvalidJson)),
    }
}

/// Only a page of this site may change something by cookie.
fn check_origin(head: &RequestHead) -> Result<(), Problem> {
    if head.writes_by_cookie() && !head.is_from_this_site {
        return Err(Problem::new(Code::CrossSiteRequest));
    }
    Ok(())
}

fn open_env<K: ReadKeys>(head: &RequestHead, settings: &OperatorSettings) -> Result<SpinEnv<K>, Problem> {
    Ok(Env {
        store: PgStore::at(connection_string(&SpinVariables).map_err(Problem::unavailable)?),
        clock: SystemClock,
        rng: SystemRng::default(),
        context: RequestContext {
            keys: K::read(&SpinVariables, settings).map_err(Problem::unavailable)?,
            caller: head.caller(settings.trusted_proxy_hops),
            settings: settings.rules.clone(),
        },
    })
}

fn to_json(body: &impl Serialize) -> Result<Answer, Problem> {
    // Every response can be written as JSON; the error's text would add 2 kB.
    let body = serde_json::to_vec(body).map_err(|_| Problem::unavailable("the response is no JSON"))?;
    Ok(Answer::json(200, body))
}

/// Errors are JSON everywhere.
fn refuse(problem: &Problem, head: &RequestHead, route: &Route) -> Answer {
    let mut answer = Answer::json(problem.code().status(), serde_json::to_vec(problem).unwrap_or_default());
    if problem.code() == Code::MethodNotAllowed {
        answer.add("allow", route.methods().collect::<Vec<_>>().join(", "));
    }
    if let Some(seconds) = problem.retry_after() {
        answer.add("retry-after", seconds.to_string());
    }
    // Otherwise the browser would go on sending a session that has ended.
    if head.uses_cookie && problem.code() == Code::InvalidToken {
        answer.add("set-cookie", session_cookie::CLEARED.to_owned());
    }
    answer
}

fn send(
    out: ResponseOutparam,
    head: &RequestHead,
    settings: &Result<OperatorSettings, ConfigError>,
    route: &Route,
    answer: Result<Answer, Problem>,
) {
    let (mut answer, problem) = match answer {
        Ok(answer) => (answer, None),
        Err(problem) => (refuse(&problem, head, route), Some(problem)),
    };
    log(head, settings, answer.status, problem.as_ref());

    // An id that the client did not give is in the log alone, so that equal answers are equal to the byte.
    if let Some(id) = &head.trace.given {
        answer.add("x-request-id", id.clone());
    }
    // RFC 9110, section 8.6: a 304 would have to give the length of the body that it leaves out.
    if answer.status != 304 {
        answer.add("content-length", answer.body.len().to_string());
    }
    let headers = Headers::from_list(&answer.headers).expect("the names and values above are well-formed");
    let response = OutgoingResponse::new(headers);
    response.set_status_code(answer.status).expect("every status is between 100 and 599");
    // If the client is gone, the log line above has the result.
    send_response(out, response, &answer.body);
}

/// The log line of a request, as JSON, so that no value can look like another line. It has no names and no secrets.
#[derive(Serialize)]
struct LogLine<'a> {
    time: String,
    level: &'static str,
    request_id: &'a str,
    trace_id: Option<&'a str>,
    route: &'a str,
    method: &'a str,
    status: u16,
    code: Option<Code>,
    /// As in the audit: the action, the account's number, the real reason of a refusal.
    action: Option<&'static str>,
    outcome: Option<&'static str>,
    reason: Option<&'static str>,
    account: Option<i64>,
    client: Option<String>,
    duration_us: u64,
    /// The duration of each statement.
    statements_us: Vec<u64>,
    cause: Option<&'a str>,
    /// A likely mistake in the deployment.
    notice: Option<&'static str>,
    /// The settings that differ from their defaults. Every request logs them, since every request starts a fresh instance.
    settings: Option<String>,
}

fn log(head: &RequestHead, settings: &Result<OperatorSettings, ConfigError>, status: u16, problem: Option<&Problem>) {
    // A request that is refused before the settings are used reports wrong settings too.
    let wrong = settings.as_ref().err().map(ToString::to_string);
    let settings = settings.as_ref().ok();
    let cause = problem.and_then(Problem::cause).or(wrong.as_deref());
    let is_lax = settings.is_some_and(|settings| settings.rules.policy != Policy::Strict);
    let hops = settings.map_or(0, |settings| settings.trusted_proxy_hops);
    let is_in_vain = settings.is_some() && head.is_forwarded_in_vain(hops);
    let attempted = trace::attempted();
    let line = LogLine {
        time: trace::now(),
        request_id: head.trace.id(),
        trace_id: head.trace.parent.as_deref(),
        duration_us: head.trace.microseconds(),
        statements_us: trace::statements(),
        level: match (&cause, is_lax || is_in_vain) {
            (Some(_), _) => "error",
            (None, true) => "warning",
            (None, false) => "info",
        },
        route: &head.route,
        method: &head.method,
        status,
        code: problem.map(Problem::code),
        action: attempted.map(|attempted| attempted.action),
        outcome: attempted.map(|attempted| if attempted.reason.is_none() { "success" } else { "refused" }),
        reason: attempted.and_then(|attempted| attempted.reason),
        account: attempted.and_then(|attempted| attempted.account),
        client: head.caller(hops).address.map(|address| address.to_string()),
        cause,
        notice: is_in_vain.then_some("X-Forwarded-For is not heeded: trusted_proxy_hops=0"),
        settings: settings.map(OperatorSettings::brief),
    };
    let mut line = serde_json::to_vec(&line).unwrap_or_default();
    line.push(b'\n');
    let _ = std::io::stdout().write_all(&line);
}
