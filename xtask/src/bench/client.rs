//! Clients that each keep a connection and send one request after the other.

use super::cpu::Watched;
use super::latency::read_answer;
use anyhow::{Result, anyhow, bail};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long a round's clients send before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// What a client sends: a method and a path, a body that may be another each time, and the status that answers it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) status: u16,
    pub(crate) header: String,
    pub(crate) body: Body,
}

/// Makes bodies; none when there is nothing left to send. It is given the time, in seconds since the Unix epoch.
pub(crate) type Body = Arc<dyn Fn(u64) -> Option<String> + Send + Sync>;

/// What a round came to.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Milliseconds of the host's processor time per request; none where its process is not known.
    pub(crate) host_cpu: Option<f64>,
    /// The same of PostgreSQL's.
    pub(crate) database_cpu: Option<f64>,
}

/// Has `clients` send a request for as long as `time`.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's time")]
pub(crate) fn round(
    address: SocketAddr,
    request: &Request,
    clients: usize,
    time: Duration,
    watched: &Watched,
) -> Result<Round> {
    // Connections that idled meanwhile are opened, and what starts cold is warm.
    send_all(address, request, clients, WARM_UP)?;
    let before = watched.times();
    let began = Instant::now();
    let mut times = send_all(address, request, clients, time)?;
    let took = began.elapsed();
    let after = watched.times();
    if times.is_empty() {
        bail!("{}: nothing was answered", request.path);
    }
    times.sort_unstable();
    let count = f64::from(u32::try_from(times.len())?);
    let per_request = |before: Option<f64>, after: Option<f64>| Some((after? - before?) * 1000.0 / count);
    Ok(Round {
        per_second: count / took.as_secs_f64(),
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
        host_cpu: per_request(before.0, after.0),
        database_cpu: per_request(before.1, after.1),
    })
}

/// Seconds that each request took that was answered before the time was over.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's time")]
fn send_all(address: SocketAddr, request: &Request, clients: usize, time: Duration) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let callers: Vec<_> = (0..clients)
        .map(|_| {
            let request = request.clone();
            std::thread::spawn(move || send_until(address, &request, end))
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.join().map_err(|_| anyhow!("a client panicked"))??);
    }
    Ok(times)
}

/// Sends one request on a connection of its own.
pub(crate) fn once(address: SocketAddr, request: &Request) -> Result<()> {
    Caller::connect(address)?.send(request).map(|_| ())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's time")]
fn send_until(address: SocketAddr, request: &Request, end: Instant) -> Result<Vec<Duration>> {
    let mut caller = Caller::connect(address)?;
    let mut times = Vec::new();
    while Instant::now() < end {
        let Some(took) = caller.send(request)? else { break };
        times.push(took);
    }
    Ok(times)
}

/// A client's connection.
struct Caller {
    address: SocketAddr,
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Caller {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { address, reader: BufReader::new(stream.try_clone()?), writer: stream })
    }

    /// Sends a request, and waits for the answer that it should have; how long that took. None when there is nothing left to send.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's time, and sends codes of now")]
    fn send(&mut self, request: &Request) -> Result<Option<Duration>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let Some(body) = (request.body)(now) else { return Ok(None) };
        let text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{}{}Content-Length: {}\r\n\r\n{body}",
            request.method,
            request.path,
            self.address,
            forwarded_for(),
            request.header,
            body.len()
        );
        let began = Instant::now();
        self.writer.write_all(text.as_bytes())?;
        let status = read_answer(&mut self.reader)?;
        let took = began.elapsed();
        if status != request.status {
            bail!("{} answered {status}, not {}", request.path, request.status);
        }
        Ok(Some(took))
    }
}

/// An address of its own for each request, as people have them; heeded where `trusted_proxy_hops=1`.
fn forwarded_for() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let [.., a, b, c] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("X-Forwarded-For: 10.{a}.{b}.{c}\r\n")
}
