//! `GET /function/activity`: what a bearer can rely on.

use cofrap_tests::TestApp;
use http::Method;
use serde_json::json;

const PATH: &str = "/function/activity";

#[tokio::test]
async fn a_bearer_sees_the_last_20_attempts_on_their_own_account_the_newest_first() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let _ = app.active_account("somebody.else").await;
    app.authenticate("michel.ranu", "wrong", "000000").await.problem(401, "invalid_credentials");
    let token = michel.session().await;
    let entries = app.request_as(&token, Method::GET, PATH).await.ok().0["entries"].clone();
    let seen: Vec<_> = entries.as_array().unwrap().iter().map(|entry| (&entry["action"], &entry["reason"])).collect();
    let (login, wrong) = (json!("login"), json!("wrong_password"));
    assert_eq!(seen[..3], [(&login, &json!(null)), (&login, &wrong), (&login, &json!(null))]);
    assert_eq!(seen.len(), 5);
    assert_eq!((&entries[0]["at"], &entries[0]["ip_address"]), (&json!(app.clock.now()), &json!("127.0.0.1")));
    for _ in 0..30 {
        app.generate_mfa("michel.ranu").await.problem(403, "proof_required");
    }
    assert_eq!(app.request_as(&token, Method::GET, PATH).await.ok().0["entries"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn without_a_session_that_holds_there_is_nothing_to_see() {
    let app = TestApp::start().await;
    let token = app.active_account("michel.ranu").await.session().await;
    app.request(Method::GET, PATH).await.problem(401, "invalid_token");
    app.request_as(cofrap_tests::ADMIN_TOKEN, Method::GET, PATH).await.problem(401, "invalid_token");
    app.administer("michel.ranu", "end-sessions").await.ok();
    app.request_as(&token, Method::GET, PATH).await.problem(401, "invalid_token");
    app.request_as(&token, Method::POST, PATH).await.problem(405, "method_not_allowed");
}
