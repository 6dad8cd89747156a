//! `GET /function/audit-log`: what an operator can rely on.

use cofrap_tests::{ADMIN_TOKEN, TestApp};
use http::Method;
use serde_json::{Value, json};

async fn read(app: &TestApp, query: &str) -> Vec<Value> {
    let path = format!("/function/audit-log{query}");
    let answer = app.request_as(ADMIN_TOKEN, Method::GET, &path).await.ok();
    answer.0["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn attempts_are_read_the_newest_first_by_name_and_in_pages() {
    let app = TestApp::start().await;
    for name in ["a", "b", "a", "Ève Dupont"] {
        app.generate_password(name).await.ok();
    }
    let names = |entries: &[Value]| -> Vec<String> {
        entries.iter().map(|entry| entry["username"].as_str().unwrap_or("-").to_owned()).collect()
    };
    // Every look is in the audit itself, as `-` here.
    assert_eq!(names(&read(&app, "").await), ["-", "Ève Dupont", "a", "b", "a"]);
    let page = read(&app, "?limit=3").await;
    assert_eq!(names(&page), ["-", "-", "Ève Dupont"]);
    let older = read(&app, &format!("?limit=2&before={}", page[2]["id"])).await;
    assert_eq!(names(&older), ["a", "b"]);
    assert_eq!(names(&read(&app, "?username=a").await), ["a", "a", "a"]);
    assert_eq!(names(&read(&app, "?username=%C3%88ve%20Dupont").await), ["Ève Dupont", "Ève Dupont"]);
    for query in ["?limit=0", "?limit=501", "?limit=x", "?before=x", "?username="] {
        let path = format!("/function/audit-log{query}");
        app.request_as(ADMIN_TOKEN, Method::GET, &path).await.problem(400, "invalid_field");
    }
}

#[tokio::test]
async fn an_entry_has_time_address_agent_action_outcome_and_the_real_reason() {
    let app = TestApp::start().await;
    app.authenticate("nobody", "x", Value::Null).await.problem(401, "invalid_credentials");
    let mut entry = read(&app, "").await[1].clone();
    assert!(entry["id"].take().is_i64());
    let expected = json!({
        "id": null, "at": app.clock.now(), "action": "login", "username": "nobody", "user_id": null,
        "ip_address": "127.0.0.1", "user_agent": null, "success": false, "reason": "unknown_user", "proof": null,
        "route": "authenticate-user-v2",
    });
    assert_eq!(entry, expected);
}

#[tokio::test]
async fn every_use_is_in_the_audit_and_a_wrong_token_sees_nothing() {
    let app = TestApp::start().await;
    read(&app, "?username=a").await;
    app.request_as("wrong", Method::GET, "/function/audit-log").await.problem(401, "invalid_token");
    app.request(Method::GET, "/function/audit-log").await.problem(401, "invalid_token");
    let rows =
        "SELECT string_agg(concat_ws(' ', success, details ->> 'username', details ->> 'reason'), ', ' ORDER BY id)
                FROM auth_logs_v2 WHERE action = 'audit_read'";
    assert_eq!(app.database.text(rows).await, "t a, f invalid_token, f invalid_token");
}
