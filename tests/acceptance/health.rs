//! `GET /function/health`: what an operator can rely on.

use cofrap_edge::SCHEMA_VERSION;
use cofrap_tests::{KEY, Settings, TestApp, TestServer};
use http::Method;
use serde_json::json;

const PATH: &str = "/function/health";

#[tokio::test]
async fn all_is_well_when_the_database_answers_the_schema_is_current_and_the_keys_fit() {
    let app = TestApp::start().await;
    let well = json!({ "status": "ok", "database": "ok", "schema": "ok", "keys": "ok", "policy": "strict" });
    assert_eq!(app.request(Method::GET, PATH).await.ok().0, well);
    let _ = app.active_account("michel.ranu").await;
    assert_eq!(app.request(Method::GET, "/f/health").await.ok().0, well);
    app.request(Method::POST, PATH).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_legacy_policy_is_announced_here_and_in_the_log() {
    let app = TestApp::start_with(Settings::variable("policy", "legacy")).await;
    assert_eq!(app.request(Method::GET, PATH).await.ok().0["policy"], "legacy");
    app.generate_password("michel.ranu").await.ok();
    assert!(app.log().lines().all(|line| line.contains(r#""policy":"legacy""#)), "{}", app.log());
    assert!(app.log().contains(r#""level":"warning""#));
    let strict = TestApp::start().await;
    strict.generate_password("michel.ranu").await.ok();
    assert!(!strict.log().contains("policy"));
}

async fn parts(app: &TestApp) -> String {
    let body = app.request(Method::GET, PATH).await.problem(503, "unavailable");
    let word = |part: &str| body[part].as_str().unwrap().to_owned();
    ["database", "schema", "keys", "policy"].map(word).join(" ")
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let app = TestApp::start().await;
    app.database.go_away().await;
    assert_eq!(parts(&app).await, "unavailable unknown unknown strict");
    app.database.come_back().await;
    app.request(Method::GET, PATH).await.ok();

    let empty = TestServer::get().await.empty_database().await;
    let app = TestApp::start_on(empty, Settings::default()).await;
    assert_eq!(parts(&app).await, "ok unavailable unknown strict");

    for (name, value, expected) in [
        ("encryption_key", "", "ok ok unavailable strict"),
        ("encryption_key", "c2hvcnQ=", "ok ok unavailable strict"),
        ("jwt_secret", "votre-cle-secrete-jwt-super-securisee", "ok ok unavailable strict"),
        ("jwt_secret", &*KEY, "ok ok unavailable strict"),
        ("admin_token", "too short", "ok ok unavailable strict"),
        ("policy", "lax", "ok ok ok unavailable"),
        ("ip_failures_limit", "many", "ok ok ok unavailable"),
    ] {
        let app = TestApp::start_with(Settings::variable(name, value)).await;
        assert_eq!(parts(&app).await, expected, "{name}={value}");
        assert!(app.log().contains(&format!("variable {name}: ")), "{}", app.log());
    }
}

#[tokio::test]
async fn an_older_or_newer_schema_is_not_the_one_that_the_functions_know() {
    for version in [SCHEMA_VERSION + 1, 0] {
        let app = TestApp::start().await;
        let update = format!("UPDATE refinery_schema_history SET version = {version} WHERE version = {SCHEMA_VERSION}");
        app.database.client.batch_execute(&update).await.unwrap();
        assert_eq!(parts(&app).await, "ok unavailable ok strict", "{version}");
    }
}

#[tokio::test]
async fn a_key_that_does_not_fit_what_is_stored_is_named_and_no_function_writes_with_it() {
    let other = "b3RoZXIga2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3Q=";
    for by_another_program in [false, true] {
        let app = TestApp::start().await;
        if by_another_program {
            let insert = "INSERT INTO users_v2 (username, password, gendate) VALUES ('michel.ranu', $1, 0)";
            app.database.client.execute(insert, &[&app.fernet("motdepasse123")]).await.unwrap();
        } else {
            app.provisional_account("michel.ranu").await;
        }
        let before = app.database.dump().await;
        let app = app.restart_with(Settings::variable("encryption_key", other)).await;
        assert_eq!(parts(&app).await, "ok ok unavailable strict");
        app.generate_password("michel.ranu").await.problem(503, "unavailable");
        app.generate_password("somebody.new").await.problem(503, "unavailable");
        app.generate_2fa("michel.ranu").await.problem(503, "unavailable");
        app.authenticate("michel.ranu", "x", "123456").await.problem(503, "unavailable");
        app.administer("michel.ranu", "disable").await.problem(503, "unavailable");
        assert_eq!(app.database.dump().await, before);
        assert!(app.log().contains("variable encryption_key: ") && !app.log().contains(&*KEY));
    }
}
