//! What is locked may be tried as often as anybody likes: the audit grows by a row a minute, and nobody waits.

use cofrap_tests::{ADMIN_TOKEN, Settings, TestApp};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

async fn rows(app: &TestApp) -> i64 {
    app.database.count("SELECT count(*) FROM auth_logs_v2").await
}

/// What the audit says of attempts on what was locked, once their minutes are over; the newest first.
async fn locked(app: &TestApp) -> Vec<Value> {
    app.let_minutes_pass().await;
    let log = app.request_as(ADMIN_TOKEN, Method::GET, "/function/audit-log?limit=500").await.ok().0;
    let entries = log["entries"].as_array().unwrap().iter().filter(|entry| entry["attempts"].is_i64());
    entries.cloned().collect()
}

#[tokio::test]
async fn attempts_on_a_locked_name_are_one_row_a_minute_that_counts_them() {
    let app = TestApp::start().await;
    let _ = app.provisional_account("michel.ranu").await;
    for _ in 0..5 {
        app.authenticate("michel.ranu", "x", "000000").await.problem(401, "invalid_credentials");
    }
    let before = rows(&app).await;
    for _ in 0..20 {
        app.authenticate("michel.ranu", "x", "000000").await.problem(429, "too_many_attempts");
    }
    app.begin_login("michel.ranu", "x").await.problem(429, "too_many_attempts");
    assert_eq!(rows(&app).await, before);
    let entries = locked(&app).await;
    assert_eq!(entries.len(), 1, "{entries:#?}");
    let entry = &entries[0];
    assert_eq!((&entry["attempts"], &entry["username"]), (&json!(21), &json!("michel.ranu")));
    assert_eq!((&entry["action"], &entry["reason"]), (&json!("login"), &json!("too_many_attempts")));
    assert!(entry["user_id"].is_i64() && entry["ip_address"] == "127.0.0.1", "{entry}");
    let kinds = "SELECT details ->> 'kinds' FROM auth_logs_v2 WHERE details ? 'attempts'";
    let kinds: Value = serde_json::from_str(&app.database.text(kinds).await).unwrap();
    assert_eq!(kinds, json!({ "login authenticate-user-v2": 20, "password_verified authentication": 1 }));
}

#[tokio::test]
async fn a_flood_with_many_names_from_a_locked_address_adds_a_row_a_minute_and_the_sum_is_exact() {
    let app = Arc::new(TestApp::start().await);
    let _ = app.provisional_account("michel.ranu").await;
    for number in 0..30 {
        app.authenticate(&format!("first.{number}"), "x", "000000").await.problem(401, "invalid_credentials");
    }
    let before = rows(&app).await;
    for _ in 0..2 {
        let attempts: Vec<_> = (0..300)
            .map(|number| {
                let app = Arc::clone(&app);
                let name = if number == 7 { "michel.ranu".to_owned() } else { format!("somebody.{number}") };
                tokio::spawn(
                    async move { app.authenticate(&name, "x", "000000").await.problem(429, "too_many_attempts") },
                )
            })
            .collect();
        for attempt in attempts {
            attempt.await.unwrap();
        }
        let slots = app.database.count("SELECT count(*) FROM locked_attempts").await;
        assert!(slots <= 32, "{slots}");
        app.clock.advance(60);
    }
    assert_eq!(rows(&app).await, before);
    let entries = locked(&app).await;
    assert_eq!(entries.iter().map(|entry| entry["attempts"].as_i64().unwrap()).collect::<Vec<_>>(), [300, 300]);
    for entry in &entries {
        let names: BTreeSet<_> = entry["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(names.len(), 20);
        assert_eq!(entry["more_names"], 280, "{entry}");
        assert_eq!(entry["username"], Value::Null);
    }
    assert_eq!(app.database.count("SELECT count(*) FROM locked_attempts").await, 0);
}

#[tokio::test]
async fn whoever_comes_next_writes_the_row_of_a_minute_that_is_over() {
    let app = TestApp::start_with(Settings::variable("account_failures_limit", "1")).await;
    for minute in 0..3 {
        app.authenticate("nobody", "x", "000000").await;
        for _ in 0..3 {
            app.authenticate("nobody", "x", "000000").await.problem(429, "too_many_attempts");
        }
        let written = app.database.count("SELECT count(*) FROM auth_logs_v2 WHERE details ? 'attempts'").await;
        assert_eq!(written, minute);
        app.let_minutes_pass().await;
    }
    app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok();
    let written = "SELECT string_agg(details ->> 'attempts', ' ') FROM auth_logs_v2 WHERE details ? 'attempts'";
    assert_eq!(app.database.text(written).await, "3 3 3");
}

/// A host whose clock is ahead ends no minute of another's.
#[tokio::test]
async fn hosts_whose_clocks_differ_write_no_more_rows() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        app.authenticate("nobody", "x", "000000").await.problem(401, "invalid_credentials");
    }
    let before = rows(&app).await;
    for _ in 0..20 {
        app.authenticate("nobody", "x", "000000").await;
        app.clock.advance(25);
        app.authenticate("nobody", "x", "000000").await;
        app.clock.advance(-25);
    }
    assert_eq!(rows(&app).await, before);
    let entries = locked(&app).await;
    assert_eq!(entries.iter().map(|entry| entry["attempts"].as_i64().unwrap()).sum::<i64>(), 40);
}

#[tokio::test]
async fn the_audit_is_whole_however_much_is_locked() {
    let app =
        TestApp::start_with(Settings::variable("account_failures_limit", "1").and("ip_failures_limit", "0")).await;
    for number in 0..50 {
        for _ in 0..3 {
            app.authenticate(&format!("nobody.{number}"), "x", "000000").await;
        }
    }
    let entries = locked(&app).await;
    assert_eq!(entries.len(), 50);
    // A judged refusal writes what is due as well.
    for _ in 0..3 {
        app.authenticate("somebody", "x", "000000").await;
    }
    app.let_minutes_pass().await;
    app.authenticate("else", "x", "000000").await.problem(401, "invalid_credentials");
    assert_eq!(app.database.count("SELECT count(*) FROM locked_attempts").await, 0);
}

#[tokio::test]
async fn sweeping_leaves_what_is_counted_and_an_account_that_goes_meanwhile_loses_nothing() {
    let app = TestApp::start().await;
    let _ = app.provisional_account("michel.ranu").await;
    for _ in 0..8 {
        app.authenticate("michel.ranu", "x", "000000").await;
    }
    app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok();
    assert_eq!(app.database.count("SELECT sum(attempts)::int8 FROM locked_attempts").await, 3);
    app.database.client.batch_execute("DELETE FROM users_v2").await.unwrap();
    let entries = locked(&app).await;
    assert_eq!((&entries[0]["attempts"], &entries[0]["user_id"]), (&json!(3), &Value::Null));
}

/// What a stranger can make the audit grow by with one request.
#[tokio::test]
async fn a_refusal_takes_few_bytes_whatever_was_sent_with_it() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let size = "SELECT sum(pg_column_size(l))::int8 FROM auth_logs_v2 l";
    let request = http::Request::post(app.url("/function/authenticate-user-v2"))
        .header("content-type", "application/json")
        .header("user-agent", http::HeaderValue::from_bytes("é".repeat(2000).as_bytes()).unwrap())
        .body(http_body_util::Full::from(json!({ "username": "\u{1F600}".repeat(50), "password": "x" }).to_string()));
    app.send(request.unwrap()).await.problem(401, "invalid_credentials");
    let agent = "SELECT length(user_agent)::int8 FROM auth_logs_v2";
    assert_eq!(app.database.count(agent).await, 256);
    let bytes = app.database.count(size).await;
    assert!(bytes < 1200, "{bytes}");
    app.authenticate("nobody", "x", "000000").await;
    let bytes = app.database.count(size).await - bytes;
    assert!(bytes < 300, "{bytes}");
}
