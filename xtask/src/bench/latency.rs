//! `bench`, one client: how long each answer takes that needs no database. An answer that leaves in two segments shows here: it waits for
//! the client's delayed acknowledgement, 25 to 45 ms.

use anyhow::{Context, Result, bail};
use cofrap_api::routes::ROUTES;
use cofrap_api::variables::DATABASE_URL;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Requests to each route, one after the other.
const REQUESTS: usize = 200;

/// What the answers may take, in the middle.
const MOST: Duration = Duration::from_millis(3);

/// One kind of request, and the status that answers it.
struct Probe {
    title: String,
    head: String,
    status: u16,
}

/// Every route without a database, and every refusal that comes before it.
fn probes() -> Vec<Probe> {
    let free = ROUTES.iter().filter(|route| !route.variables.contains(&DATABASE_URL));
    let answers = free.map(|route| {
        let path = route.paths[0].replace("...", if route.component == "frontend" { "login" } else { "nothing" });
        let status = if route.component == "not-found" { 404 } else { 200 };
        Probe { title: format!("GET {path}"), head: format!("GET {path} HTTP/1.1\r\n"), status }
    });
    let login = "/function/authenticate-user-v2";
    let refusals = [
        ("another method", format!("GET {login} HTTP/1.1\r\n"), 405),
        ("another media type", format!("POST {login} HTTP/1.1\r\nContent-Length: 0\r\n"), 415),
        ("no JSON", format!("POST {login} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"), 400),
    ];
    let refusals = refusals.map(|(title, head, status)| Probe { title: format!("{title} ({status})"), head, status });
    answers.chain(refusals).collect()
}

/// Prints what each takes at one client that keeps its connection; fails where the middle is above 3 ms.
pub(crate) fn report(address: SocketAddr) -> Result<()> {
    println!("one client, {REQUESTS} requests each:");
    let mut slow = Vec::new();
    for probe in probes() {
        let mut times = measure(address, &probe).with_context(|| probe.title.clone())?;
        times.sort();
        let (middle, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("  {:<36} p50 {middle:>8.2?}   p99 {late:>8.2?}", probe.title);
        if middle > MOST {
            slow.push(probe.title);
        }
    }
    if !slow.is_empty() {
        bail!("above {MOST:?} in the middle: {}", slow.join(", "));
    }
    Ok(())
}

/// The address of `http://host:port`.
pub(crate) fn resolve(url: &str) -> Result<SocketAddr> {
    let place = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let mut addresses = place.to_socket_addrs().with_context(|| format!("{url} is no http://host:port"))?;
    addresses.next().with_context(|| format!("{url} has no address"))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's time")]
fn measure(address: SocketAddr, probe: &Probe) -> Result<Vec<Duration>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    let request = format!("{}Host: {address}\r\n\r\n", probe.head);
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        writer.write_all(request.as_bytes())?;
        let status = read_answer(&mut reader)?;
        times.push(began.elapsed());
        if status != probe.status {
            bail!("answered {status}, not {}", probe.status);
        }
    }
    Ok(times)
}

/// Reads an answer to its end; its status.
pub(crate) fn read_answer(reader: &mut impl BufRead) -> Result<u16> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.get(9..12).context("no HTTP answer")?.parse()?;
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(status)
}
