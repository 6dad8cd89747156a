//! A Prometheus of this machine's.

use crate::app::TestApp;
use crate::checkout::checkout;
use crate::folder::{Folder, Server, free_port, listening};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What others show: the dashboards and alerts ask for it.
const OTHERS: &str = include_str!("../fixtures/metrics_of_others.txt");

/// Scrapes every second, with the project's own rules.
pub struct Prometheus {
    place: String,
    _server: Server,
    _folder: Folder,
}

impl Prometheus {
    /// Starts one that scrapes functions with their token, and what others show.
    pub async fn scraping(app: &TestApp, token: &str) -> Self {
        let (folder, port) = (Folder::new("prometheus"), free_port());
        let place = format!("127.0.0.1:{port}");
        let functions = app.url("");
        let functions = functions.trim_start_matches("http://").trim_end_matches('/');
        let rules = checkout().join("deploy/components/monitoring/alerts.yaml");
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n  \
             - job_name: cofrap\n    metrics_path: /metrics\n    authorization: {{credentials: \"{token}\"}}\n    \
             static_configs: [{{targets: ['{functions}']}}]\n  \
             - job_name: others\n    honor_labels: true\n    static_configs: [{{targets: ['{}']}}]\n",
            rules.display(),
            show_others().await
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("a configuration");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={place}")).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server::start(&mut command);
        listening(port).await;
        let prometheus = Self { place, _server: server, _folder: folder };
        // It listens before it has read what it stored.
        while prometheus.fetch("/-/ready").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        prometheus
    }

    /// The series that an expression has now, with their values.
    pub async fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("query", expression).finish();
        let answer = self.get(&format!("/api/v1/query?{query}")).await;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let series = answer["data"]["result"].as_array().expect("a vector").iter();
        let value =
            |series: &Value| series["value"][1].as_str().and_then(|value| value.parse().ok()).expect("a number");
        series.map(|series| (series["metric"].clone(), value(series))).collect()
    }

    /// Waits until an expression has one value, and it is this.
    pub async fn until(&self, expression: &str, expected: f64) {
        let mut last = Vec::new();
        for _ in 0..100 {
            last = self.query(expression).await;
            if last.len() == 1 && (last[0].1 - expected).abs() < f64::EPSILON {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("{expression} is {last:?}, and not {expected}");
    }

    /// What its interface answers.
    pub async fn get(&self, path: &str) -> Value {
        let (_, body) = self.fetch(path).await;
        serde_json::from_slice(&body).unwrap_or_else(|_| panic!("{path}: {}", String::from_utf8_lossy(&body)))
    }

    async fn fetch(&self, path: &str) -> (u16, Bytes) {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.get(format!("http://{}{path}", self.place).parse().expect("a URL")).await;
        let answer = answer.expect("Prometheus answers");
        (answer.status().as_u16(), answer.into_body().collect().await.expect("a body").to_bytes())
    }
}

/// Serves what others show, whatever is asked.
async fn show_others() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    OTHERS.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(OTHERS.as_bytes()).await;
            });
        }
    });
    address
}
