//! The requests that are measured, and the floor's tables.

use super::accounts::Accounts;
use super::client::{Body, Request};
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_postgres::Client;

/// The floor's path.
pub(super) const FLOOR: &str = "/bench/floor";

/// The floor's tables.
pub(super) async fn make_floor(client: &Client) -> Result<()> {
    let login = cofrap_migrations::functions_login(client).await?;
    client
        .batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS bench_floor (id BIGINT PRIMARY KEY, body TEXT);
             CREATE TABLE IF NOT EXISTS bench_floor_log (id BIGSERIAL PRIMARY KEY, body TEXT, at BIGINT);
             INSERT INTO bench_floor SELECT n, 'a row' FROM generate_series(1, 1000) n ON CONFLICT DO NOTHING;
             GRANT SELECT ON bench_floor TO \"{login}\"; GRANT INSERT ON bench_floor_log TO \"{login}\";
             GRANT USAGE ON SEQUENCE bench_floor_log_id_seq TO \"{login}\""
        ))
        .await?;
    Ok(())
}

/// The floor: one read and one insert.
pub(super) fn floor() -> Request {
    let body = r#"{"username":"michel.ranu","password":"x","2FA_code":"123456"}"#;
    post(FLOOR, Arc::new(move |_| Some(body.to_owned())))
}

/// Logs accounts in, each once.
pub(super) fn login(accounts: Arc<Accounts>) -> Request {
    post("/function/authenticate-user-v2", Arc::new(move |now| accounts.login(now)))
}

fn post(path: &'static str, body: Body) -> Request {
    Request { method: "POST", path, status: 200, header: String::new(), body }
}

/// A request for each function that is worth a number, with the status of its success.
pub(super) fn requests(accounts: &Arc<Accounts>, run: &str) -> Vec<(&'static str, Request)> {
    let get = |path| Request {
        method: "GET",
        path,
        status: 200,
        header: String::new(),
        body: Arc::new(|_| Some(String::new())),
    };
    let names = Arc::new(Names { prefix: format!("g{run}"), made: AtomicU64::new(0), enrolled: AtomicU64::new(0) });
    let enrolled = Arc::clone(&names);
    vec![
        ("authenticate-user-v2", login(Arc::clone(accounts))),
        ("generate-password-v2", post("/function/generate-password-v2", Arc::new(move |_| Some(names.make())))),
        ("generate-2fa-v2", post("/function/generate-2fa-v2", Arc::new(move |_| enrolled.enrol()))),
        ("health", get("/function/health")),
        ("jwks", get("/.well-known/jwks.json")),
    ]
}

/// Names that count up: what is generated for them first is enrolled later, in the same order.
struct Names {
    prefix: String,
    made: AtomicU64,
    enrolled: AtomicU64,
}

impl Names {
    /// The body for a new name.
    fn make(&self) -> String {
        self.body(self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// The body for a name that was made; none once all are enrolled.
    fn enrol(&self) -> Option<String> {
        let number = self.enrolled.fetch_add(1, Ordering::Relaxed);
        (number < self.made.load(Ordering::Relaxed)).then(|| self.body(number))
    }

    fn body(&self, number: u64) -> String {
        format!(r#"{{"username":"{}{number}"}}"#, self.prefix)
    }
}
