//! What operators read of each request: one line of JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofrap_tests::{ADMIN_TOKEN, KEY, MAX_AGE, Settings, TestApp};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

/// The lines without the component's name, which the local host puts before each.
fn lines(app: &TestApp) -> Vec<Value> {
    let log = app.log();
    let texts = log.lines().map(|line| line.split_once("] ").map_or(line, |(_, text)| text));
    texts.map(|text| serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))).collect()
}

/// Sends a login with headers; the answer's `x-request-id`, and the line.
async fn line_of(app: &TestApp, headers: &[(&str, &str)]) -> (Option<String>, Value) {
    let body = json!({ "username": "nobody.there", "password": "canary", "2FA_code": "123456" }).to_string();
    let request = Request::post(app.url("/function/authenticate-user-v2")).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = app.send(request.body(Full::new(body.into())).unwrap()).await;
    let given = answer.headers.get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
    (given, lines(app).pop().unwrap())
}

#[tokio::test]
async fn a_line_says_when_how_long_and_how_long_the_database_took() {
    let app = TestApp::start().await;
    let (_, line) = line_of(&app, &[]).await;
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
    let statements: Vec<_> = line["statements_us"].as_array().unwrap().iter().map(|us| us.as_u64().unwrap()).collect();
    assert_eq!(statements.len(), 2, "{line}");
    let whole = line["duration_us"].as_u64().unwrap();
    assert!(statements.iter().all(|us| *us > 0) && statements.iter().sum::<u64>() <= whole, "{line}");
    // Who was asked for is the audit's to say.
    assert!(!line.to_string().contains("nobody.there") && !line.to_string().contains("canary"), "{line}");
}

#[tokio::test]
async fn a_line_says_what_the_audit_says_the_account_s_number_and_the_real_reason_too() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let account = app.database.count("SELECT id::int8 FROM users_v2").await;
    let last = || {
        let line = lines(&app).pop().unwrap();
        ["action", "outcome", "reason", "account"].map(|name| line[name].clone())
    };
    app.clock.advance(30);
    michel.log_in().await.ok();
    assert_eq!(last(), [json!("login"), json!("success"), Value::Null, json!(account)]);
    app.authenticate("michel.ranu", "x", "000000").await.problem(401, "invalid_credentials");
    assert_eq!(last(), [json!("login"), json!("refused"), json!("wrong_password"), json!(account)]);
    app.authenticate("nobody", "x", "000000").await.problem(401, "invalid_credentials");
    assert_eq!(last(), [json!("login"), json!("refused"), json!("unknown_user"), Value::Null]);
    for _ in 0..5 {
        app.authenticate("michel.ranu", "x", "000000").await;
    }
    assert_eq!(last(), [json!("login"), json!("refused"), json!("too_many_attempts"), json!(account)]);
    app.request(http::Method::GET, "/function/health").await.ok();
    assert_eq!(last(), [Value::Null, Value::Null, Value::Null, Value::Null]);
}

/// Every secret that there is, in every place that keeps something.
#[tokio::test]
async fn no_secret_is_in_the_log_the_audit_the_metrics_or_the_database() {
    let token = "canary-token-of-the-monitoring-system";
    let app = TestApp::start_with(Settings::variable("metrics_token", token)).await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(30);
    let mut secrets = vec![michel.password.clone(), token.to_owned(), ADMIN_TOKEN.to_owned(), KEY.to_string()];
    secrets.push(michel.session().await);
    let chosen = app.chosen_account("eve").await;
    secrets.push(chosen.password.clone());
    secrets.push(chosen.challenge().await);
    app.clock.advance(MAX_AGE + 1);
    let renewal = michel.log_in().await.problem(403, "password_expired");
    secrets.push(renewal["renewal_token"].as_str().unwrap().to_owned());
    let renewal = secrets.last().unwrap().clone();
    let renewed = app.call("generate-2fa-v2", json!({ "username": "michel.ranu", "renewal_token": renewal })).await;
    let secret = renewed.ok().0["provisioning_uri"].as_str().unwrap().split_once("secret=").unwrap().1.to_owned();
    secrets.push(secret.split('&').next().unwrap().to_owned());
    for wrong in ["canary of a wrong password", "canary"] {
        app.authenticate("michel.ranu", wrong, "987654").await;
        app.authenticate(wrong, wrong, wrong).await;
        app.request_as(wrong, http::Method::GET, "/function/audit-log").await;
        app.request_as(wrong, http::Method::GET, "/metrics").await;
    }
    app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok();
    let audit = app.request_as(ADMIN_TOKEN, http::Method::GET, "/function/audit-log").await.body;
    let metrics = app.request_as(token, http::Method::GET, "/metrics").await.body;
    let places = [("log", app.log()), ("audit", audit), ("metrics", metrics), ("dump", app.database.dump().await)];
    secrets.push("canary of a wrong password".to_owned());
    for secret in &secrets {
        assert!(secret.len() > 12, "{secret}");
        let encoded = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
        for (place, text) in &places {
            for form in [secret.clone(), STANDARD.encode(secret), encoded.clone()] {
                assert!(!text.contains(&form), "{place} has {form}");
            }
        }
    }
}

#[tokio::test]
async fn an_id_that_a_gateway_gave_is_kept_and_another_is_made_up() {
    let app = TestApp::start().await;
    let (echoed, line) = line_of(&app, &[("x-request-id", "7f3e.A_b-c")]).await;
    assert_eq!((echoed.as_deref(), &line["request_id"]), (Some("7f3e.A_b-c"), &json!("7f3e.A_b-c")));
    let long = "x".repeat(65);
    let mut made_up = Vec::new();
    for id in ["", "a b", "a\"},{\"b", &long] {
        let headers = [("x-request-id", id)];
        let (echoed, line) = line_of(&app, if id.is_empty() { &[] } else { &headers }).await;
        assert_eq!(echoed, None, "{id}");
        made_up.push(line["request_id"].as_str().unwrap().to_owned());
    }
    assert!(made_up.iter().all(|id| id.len() == 16), "{made_up:?}");
    made_up.sort();
    made_up.dedup();
    assert_eq!(made_up.len(), 4);
}

#[tokio::test]
async fn the_trace_that_a_request_belongs_to_stands_in_its_line() {
    let app = TestApp::start().await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (_, line) = line_of(&app, &[("traceparent", &format!("00-{id}-00f067aa0ba902b7-01"))]).await;
    assert_eq!(line["trace_id"], id);
    for parent in ["00-x-y-01", "no trace"] {
        assert_eq!(line_of(&app, &[("traceparent", parent)]).await.1["trace_id"], Value::Null, "{parent}");
    }
}
