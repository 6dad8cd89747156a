//! The functions by name, as tests call them.

use crate::answer::Answer;
use crate::app::{ADMIN_TOKEN, TestApp};
use cofrap_api::routes::ROUTES;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Duration;

impl TestApp {
    /// `administer-account`
    pub async fn administer(&self, username: &str, action: &str) -> Answer {
        self.call_as(&self.operator, "administer-account", json!({ "username": username, "action": action })).await
    }

    /// `session`, of a bearer.
    pub async fn session(&self, bearer: &str) -> Answer {
        self.request_as(bearer, Method::GET, "/function/session").await
    }

    /// `generate-password-v2`
    pub async fn generate_password(&self, username: &str) -> Answer {
        self.call("generate-password-v2", json!({ "username": username })).await
    }

    /// `generate-2fa-v2`
    pub async fn generate_mfa(&self, username: &str) -> Answer {
        self.call("generate-2fa-v2", json!({ "username": username })).await
    }

    /// `authenticate-user-v2`
    pub async fn authenticate(&self, username: &str, password: &str, code: impl Into<Value>) -> Answer {
        let body = json!({ "username": username, "password": password, "2FA_code": code.into() });
        self.call("authenticate-user-v2", body).await
    }

    /// `create-account-secure`
    pub async fn create_account(&self, username: &str, password: &str) -> Answer {
        self.call("create-account-secure", json!({ "username": username, "password": password })).await
    }

    /// `authentication`
    pub async fn begin_login(&self, username: &str, password: &str) -> Answer {
        self.call("authentication", json!({ "username": username, "password": password })).await
    }

    /// `verify-2fa`, without a challenge.
    pub async fn verify_code(&self, username: &str, code: &str) -> Answer {
        self.call("verify-2fa", json!({ "username": username, "token": code })).await
    }

    /// `verify-2fa`, with a challenge.
    pub async fn complete_login(&self, username: &str, code: &str, challenge: &str) -> Answer {
        self.call("verify-2fa", json!({ "username": username, "token": code, "challenge": challenge })).await
    }

    /// Lets two minutes pass, for the functions and for what is counted of what is locked, which the database's clock decides.
    pub async fn let_minutes_pass(&self) {
        self.clock.advance(120);
        let age = "UPDATE locked_attempts SET counted_since = counted_since - 120";
        self.database.client.batch_execute(age).await.expect("aged");
    }

    /// How many attempts the audit has of some rows, once the minutes of what is locked are over.
    pub async fn attempts(&self, which: &str) -> i64 {
        self.let_minutes_pass().await;
        self.request_as(ADMIN_TOKEN, Method::GET, "/function/audit-log").await.ok();
        let attempts = format!(
            "SELECT coalesce(sum(coalesce((details ->> 'attempts')::int8, 1)), 0)::int8 FROM auth_logs_v2 WHERE {which}"
        );
        self.database.count(&attempts).await
    }

    /// Asks any route of the table with a bearer token; `POST` carries the body.
    pub async fn ask_as(&self, bearer: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bytes = if method == "POST" { body.to_string() } else { String::new() };
        let request = Request::builder().method(method).uri(self.url(path)).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {bearer}"));
        self.send(request.body(Full::new(bytes.into())).expect("a request")).await
    }

    /// Within five seconds, no function is left that says 503.
    pub async fn every_function_answers_soon(&self) {
        let body = json!({
            "username": "nobody", "password": "x", "2FA_code": "123456", "token": "123456", "action": "unlock"
        });
        let all = async {
            for route in ROUTES.iter().filter(|route| route.paths[0].starts_with("/function/")) {
                let method = route.methods().next().unwrap_or("GET");
                let path = route.paths[0].replace("...", "nothing");
                while self.ask_as(&self.operator, method, &path, &body).await.status == 503 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(5), all).await.expect("every function answers again");
    }
}
