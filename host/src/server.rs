//! The HTTP side: one fresh instance of the routed component for every request.

use crate::app::{App, LoadedComponent};
use crate::routes::RouteMatch;
use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde::Serialize;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wasmtime::Store;
use wasmtime_wasi_http::Error as HttpError;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// What requests under way are given to finish after a shutdown began.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client may take for its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may take until its body has come: a client that never ends one would keep an instance for good. Spin has no such
/// limit, so a gateway must.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Spin answers here itself, whatever the manifest says.
const PLATFORM_PREFIX: &str = "/.well-known/spin/";

/// Serves the application until `shutdown`, then lets requests under way finish, for ten seconds at most. Whether all
/// of them did.
pub async fn serve(app: Arc<App>, listener: TcpListener, shutdown: impl Future<Output = ()>) -> bool {
    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => {
                // Too many open files, or a client that left at once: the next one may do better.
                let Ok((stream, peer)) = accepted else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                tokio::spawn(serve_connection(Arc::clone(&app), stream, peer, connections.watcher()));
            }
        }
    }
    drop(listener);
    tokio::time::timeout(GRACE, connections.shutdown()).await.is_ok()
}

async fn serve_connection(
    app: Arc<App>,
    stream: TcpStream,
    peer: SocketAddr,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { answer(&app, request, peer).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A connection that the client broke is nothing to report.
    let _ = watcher.watch(connection).await;
}

/// An error closes the connection without a byte.
async fn answer(
    app: &Arc<App>,
    mut request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<HyperOutgoingBody>> {
    if let Some(rest) = request.uri().path().strip_prefix(PLATFORM_PREFIX) {
        return Ok(answer_for_the_platform(app, rest));
    }
    let Some(route) = app.routes.find(request.uri().path()) else { return Ok(plain(StatusCode::NOT_FOUND, "")) };
    let authority = authority_of(&request)?;
    if request.headers().values().any(|value| str::from_utf8(value.as_bytes()).is_err()) {
        return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, ""));
    }
    let uri = request.uri().clone();
    append_headers(request.headers_mut(), &uri, &authority, &route, peer);

    let component = &app.components[&route.component];
    Ok(run(app, component, request).await.unwrap_or_else(|error| {
        (component.output.sink)(&format!("[{}] failed: {error:#}", route.component));
        plain(StatusCode::INTERNAL_SERVER_ERROR, "")
    }))
}

/// What Spin answers itself, by the rest of the path.
fn answer_for_the_platform(app: &App, rest: &str) -> Response<HyperOutgoingBody> {
    match rest {
        "health" => plain(StatusCode::OK, "OK"),
        "info" => {
            let info = AppInfo { name: &app.application.name, version: app.application.version.as_deref() };
            let json = serde_json::to_string_pretty(&info).unwrap_or_default();
            let mut response = plain(StatusCode::OK, json);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, ""),
    }
}

#[derive(Serialize)]
struct AppInfo<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

/// Whom the request is for: what the `Host` header says, or the target, which must not differ.
fn authority_of(request: &Request<Incoming>) -> Result<String> {
    if request.method() == Method::CONNECT {
        bail!("CONNECT has no path");
    }
    let host =
        request.headers().get(HOST).map(|host| host.to_str()).transpose().context("the Host header is no text")?;
    let host = host.map(str::parse::<Authority>).transpose().context("the Host header is ill-formed")?;
    match (host, request.uri().authority()) {
        (Some(host), Some(target)) if host != *target => bail!("the Host header is not the target's"),
        (Some(host), _) => Ok(host.to_string()),
        (None, Some(target)) => Ok(target.to_string()),
        (None, None) => bail!("the request has no Host header"),
    }
}

/// Spin's headers come after the client's, of which some may have the same names.
fn append_headers(headers: &mut HeaderMap, uri: &Uri, host: &str, route: &RouteMatch, peer: SocketAddr) {
    let path_and_query = uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str());
    let mut append = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    };
    if let Some(path_info) = &route.path_info {
        append("spin-path-info", path_info);
    }
    append("spin-full-url", &format!("http://{host}{path_and_query}"));
    append("spin-matched-route", &route.raw_route);
    append("spin-base-path", "/");
    append("spin-raw-component-route", &route.raw_route);
    append("spin-component-route", route.route_or_prefix());
    append("spin-client-addr", &peer.to_string());
    for (name, value) in &route.captures {
        append(&format!("spin-path-match-{}", name.to_lowercase()), value);
    }
}

/// The instance runs in a task of its own: it is neither cut off when the client leaves, nor does it end with its answer.
async fn run(
    app: &Arc<App>,
    component: &Arc<LoadedComponent>,
    request: Request<Incoming>,
) -> Result<Response<HyperOutgoingBody>> {
    let mut store = Store::new(component.pre.engine(), app.guest(component)?);
    let (sender, receiver) = oneshot::channel();
    let request = request.map(|body| TimelyBody { body, deadline: Box::pin(tokio::time::sleep(BODY_TIMEOUT)) });
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request).map_err(into_anyhow)?;
    let out = store.data_mut().http().new_response_outparam(sender).map_err(into_anyhow)?;

    let component = Arc::clone(component);
    let task = tokio::spawn(async move {
        if component.fuel.is_some() {
            store.set_fuel(u64::MAX)?;
        }
        let instance = component.pre.instantiate_async(&mut store).await?;
        let handled = instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await;
        if let Some(observer) = &component.fuel {
            observer(&component.output.component, u64::MAX - store.get_fuel()?);
        }
        handled
    });
    match receiver.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(anyhow!("the component answered with {error:?}")),
        Err(_) => match task.await.context("the instance's task was lost")? {
            Ok(()) => Err(anyhow!("the component did not answer")),
            Err(error) => Err(into_anyhow(error)),
        },
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn into_anyhow(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}

/// A body that ends with an error when it has not come in time.
struct TimelyBody {
    body: Incoming,
    deadline: Pin<Box<Sleep>>,
}

impl Body for TimelyBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => self.deadline.as_mut().poll(context).map(|()| Some(Err(HttpError::ConnectionReadTimeout))),
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(HttpError::Hyper))),
        }
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<HyperOutgoingBody> {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
