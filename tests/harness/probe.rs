//! The local host with a component that tells what it was given.

use crate::app::ENGINE;
use crate::checkout::checkout;
use cofrap_host::{Ambient, App, Authorities, Manifest, Options, VariableSource, serve};
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Counts manifests: each has a file of its own.
static MANIFESTS: AtomicU32 = AtomicU32::new(0);

/// A running application of probes.
pub struct Probe {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    shutdown: Arc<Notify>,
    served: JoinHandle<bool>,
}

impl Probe {
    /// Why a manifest does not start. `{probe}` in its text is the component's file.
    pub fn refusal(manifest: &str, variables: VariableSource) -> String {
        match load(manifest, variables, Authorities::default(), |_| {}) {
            Ok(_) => panic!("the manifest was taken:\n{manifest}"),
            Err(error) => error,
        }
    }

    /// Starts a manifest. `{probe}` in its text is the component's file.
    pub async fn start(manifest: &str, variables: VariableSource) -> Self {
        Self::start_trusting(Authorities::default(), manifest, variables).await
    }

    /// The same, with whom the host trusts to sign a database's certificate.
    pub async fn start_trusting(authorities: Authorities, manifest: &str, variables: VariableSource) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let app =
            load(manifest, variables, authorities, move |line| lines.lock().expect("the log").push(line.to_owned()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let app = Arc::new(app.expect("the manifest starts"));
        let shutdown = Arc::new(Notify::new());
        let signal = Arc::clone(&shutdown);
        let served = tokio::spawn(async move { serve(app, listener, signal.notified()).await });
        Self { address, log, shutdown, served }
    }

    /// Tells it to shut down.
    pub fn begin_shutdown(&self) {
        self.shutdown.notify_one();
    }

    /// Waits until it has; whether every request under way finished.
    pub async fn has_shut_down(self) -> bool {
        self.served.await.expect("the server does not panic")
    }

    /// What it printed.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("the log").clone()
    }

    /// Posts lines to a path; the body of the answer.
    pub async fn ask(&self, path: &str, body: &str) -> String {
        self.send(path, &[], body).await.1
    }

    /// Posts to a path with raw header lines; the status and the body.
    pub async fn send(&self, path: &str, headers: &[&[u8]], body: &str) -> (u16, String) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: probe.test\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        for header in headers {
            request.extend_from_slice(header);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.as_bytes());
        let answer = self.exchange(&request).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let body = if head.contains("chunked") { unchunk(body) } else { body.to_owned() };
        (head[9..12].parse().expect("a status"), body)
    }
}

impl Probe {
    /// Sends bytes as they are; all that comes back.
    pub async fn send_raw(&self, request: &str) -> String {
        self.exchange(request.as_bytes()).await
    }

    async fn exchange(&self, request: &[u8]) -> String {
        exchange(self.address, request).await
    }
}

/// Sends bytes on a connection of their own; all that comes back.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("UTF-8");
    answer
}

fn load(
    manifest: &str,
    variables: VariableSource,
    authorities: Authorities,
    output: impl Fn(&str) + Send + Sync + 'static,
) -> Result<App, String> {
    let folder = checkout().join("target/probes");
    fs::create_dir_all(&folder).expect("a folder");
    let probe = checkout().join("target/wasm32-wasip2/component/cofrap_host_probe.wasm");
    let text = manifest.replace("{probe}", probe.to_str().expect("UTF-8"));
    let path = folder.join(format!("{}.toml", MANIFESTS.fetch_add(1, Ordering::Relaxed)));
    fs::write(&path, text).expect("written");
    let load = || {
        let manifest = Manifest::read(&path)?;
        let variables = vec![variables];
        let options =
            Options { manifest, variables, authorities, ambient: Ambient::default(), output: Arc::new(output) };
        App::load(&ENGINE, options)
    };
    load().map_err(|error| format!("{error:#}"))
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a chunk's length");
        whole.push_str(&rest[..length]);
        body = rest.get(length + 2..).unwrap_or_default();
    }
    whole
}
