//! The HTTP side: one fresh instance of the routed component for every request.

use crate::app::{App, LoadedComponent};
use crate::routes::RouteMatch;
use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// What requests under way are given to finish after a shutdown began.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client may take for its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

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
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(answer(&app, request, peer).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A connection that the client broke is nothing to report.
    let _ = watcher.watch(connection).await;
}

async fn answer(app: &Arc<App>, mut request: Request<Incoming>, peer: SocketAddr) -> Response<HyperOutgoingBody> {
    if let Some(rest) = request.uri().path().strip_prefix(PLATFORM_PREFIX) {
        return if rest == "health" { plain(StatusCode::OK, "OK") } else { plain(StatusCode::NOT_FOUND, "") };
    }
    let Some(route) = app.routes.find(request.uri().path()) else { return plain(StatusCode::NOT_FOUND, "") };
    if request.headers().values().any(|value| str::from_utf8(value.as_bytes()).is_err()) {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "");
    }
    let uri = request.uri().clone();
    append_headers(request.headers_mut(), &uri, &route, peer);

    let component = &app.components[&route.component];
    run(app, component, request).await.unwrap_or_else(|error| {
        (component.output.sink)(&format!("[{}] failed: {error:#}", route.component));
        plain(StatusCode::INTERNAL_SERVER_ERROR, "")
    })
}

/// Spin's headers come after the client's, of which some may have the same names.
fn append_headers(headers: &mut HeaderMap, uri: &Uri, route: &RouteMatch, peer: SocketAddr) {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost").to_owned();
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
    let mut store = Store::new(component.pre.engine(), app.guest(component));
    let (sender, receiver) = oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request).map_err(into_anyhow)?;
    let out = store.data_mut().http().new_response_outparam(sender).map_err(into_anyhow)?;

    let component = Arc::clone(component);
    let task = tokio::spawn(async move {
        let instance = component.pre.instantiate_async(&mut store).await?;
        instance.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
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

fn plain(status: StatusCode, body: &'static str) -> Response<HyperOutgoingBody> {
    let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
