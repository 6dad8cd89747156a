//! `GET /function/health`: what an operator can rely on.

use cofrap_migrations::{SCHEMA_VERSION, schema_of};
use cofrap_tests::{KEY, Settings, TestApp, TestServer};
use http::Method;
use serde_json::json;

const PATH: &str = "/function/health";

#[tokio::test]
async fn all_is_well_when_the_database_answers_the_schema_is_current_and_the_keys_fit() {
    let app = TestApp::start().await;
    let settings = "policy=strict registration=open accept_unbound_rows=true password_max_age_seconds=15768000 \
                    trusted_proxy_hops=0 account_failures_limit=5 otp_failures_limit=20 ip_failures_limit=30 \
                    ip_failures_window_seconds=300 ip_generations_limit=100 audit_refusals_days=90 audit_actions_days=400";
    let well = json!({
        "status": "ok", "database": "ok", "schema": "ok", "keys": "ok", "policy": "strict", "settings": settings,
        "expected_schema": schema_of(SCHEMA_VERSION), "schemas": [schema_of(SCHEMA_VERSION)], "sequences": "ok"
    });
    assert_eq!(app.request(Method::GET, PATH).await.ok().0, well);
    let _ = app.active_account("michel.ranu").await;
    assert_eq!(app.request(Method::GET, "/f/health").await.ok().0, well);
    app.request(Method::POST, PATH).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn every_line_of_the_log_says_what_is_in_force_as_far_as_it_is_not_the_default() {
    for (settings, level, said) in [
        (Settings::default(), "info", "policy=strict"),
        (Settings::variable("policy", "legacy"), "warning", "policy=legacy"),
        (Settings::variable("registration", "operator"), "info", "policy=strict registration=operator"),
    ] {
        let app = TestApp::start_with(settings).await;
        app.request(Method::GET, PATH).await.ok();
        app.request(Method::GET, "/openapi.json").await.ok();
        let log = app.log();
        assert!(log.lines().all(|line| line.contains(&format!(r#""settings":"{said}""#))), "{log}");
        assert!(log.lines().all(|line| line.contains(&format!(r#""level":"{level}""#))), "{log}");
    }
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
    ] {
        let app = TestApp::start_with(Settings::variable(name, value)).await;
        assert_eq!(parts(&app).await, expected, "{name}={value}");
        assert!(app.log().contains(&format!("variable {name}: ")), "{}", app.log());
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_503_on_every_route_and_named_here() {
    for (settings, said) in [
        ("", "policy is missing"),
        ("registration=operator", "policy is missing"),
        ("policy=lax", "policy must be strict or legacy"),
        ("policy=strict registration=open registration=operator", "registration is given twice"),
        ("policy=strict canary=1", "entry 2 is unknown"),
        ("policy=strict,registration=operator", "policy must be strict or legacy"),
        ("policy=strict ip_failures_limit=many", "ip_failures_limit must be a whole number"),
    ] {
        let app = TestApp::start_with(Settings::variable("settings", settings)).await;
        assert_eq!(parts(&app).await, "ok ok unknown unavailable", "{settings}");
        let body = app.request(Method::GET, PATH).await.problem(503, "unavailable");
        let expected = format!("variable settings: {said}");
        assert!(body["settings"].as_str().unwrap().starts_with(&expected), "{body}");
        app.generate_password("michel.ranu").await.problem(503, "unavailable");
        app.authenticate("michel.ranu", "x", "123456").await.problem(503, "unavailable");
        for path in ["/.well-known/jwks.json", "/openapi.json", "/function/session", "/function/nothing", "/", "/login"]
        {
            app.request(Method::GET, path).await.problem(503, "unavailable");
        }
        // Earlier refusals are what they are, and the log says even so that the settings are wrong.
        app.request(Method::PUT, "/function/session").await.problem(405, "method_not_allowed");
        let log = app.log();
        assert!(log.lines().all(|line| line.contains(&expected) && line.contains(r#""level":"error""#)), "{log}");
        assert!(!log.contains("canary"), "{log}");
    }
}

#[tokio::test]
async fn an_older_or_newer_schema_is_not_the_one_that_the_functions_know() {
    for version in [SCHEMA_VERSION + 1, SCHEMA_VERSION - 1] {
        let app = TestApp::start().await;
        let rename = format!("ALTER SCHEMA {} RENAME TO {}", schema_of(SCHEMA_VERSION), schema_of(version));
        app.database.client.batch_execute(&rename).await.unwrap();
        assert_eq!(parts(&app).await, "ok unavailable unknown strict", "{version}");
        let health = app.request(Method::GET, PATH).await.problem(503, "unavailable");
        assert_eq!(health["expected_schema"], schema_of(SCHEMA_VERSION));
        assert_eq!(health["schemas"], json!([schema_of(version)]));
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
        app.generate_mfa("michel.ranu").await.problem(503, "unavailable");
        app.authenticate("michel.ranu", "x", "123456").await.problem(503, "unavailable");
        app.administer("michel.ranu", "disable").await.problem(503, "unavailable");
        assert_eq!(app.database.dump().await, before);
        assert!(app.log().contains("variable encryption_key: ") && !app.log().contains(&*KEY));
    }
}

/// Every login would be 503: nobody should be sent there.
#[tokio::test]
async fn a_database_that_takes_no_writes_is_unavailable() {
    let app = TestApp::start().await;
    let read_only = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
    app.database.client.batch_execute(read_only).await.unwrap();
    app.database.end_sessions().await;
    assert_eq!(parts(&app).await, "unavailable unknown unknown strict");
    assert!(app.log().contains("it takes no writes"), "{}", app.log());
}
