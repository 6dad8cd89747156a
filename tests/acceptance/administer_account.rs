//! `POST /function/administer-account`: what an operator can rely on. What the actions do to an account is told in
//! `lifecycle.rs` and `throttling.rs`.

use cofrap_tests::{ADMIN_TOKEN, Settings, TestApp};
use serde_json::{Value, json};

const NAME: &str = "administer-account";

#[tokio::test]
async fn without_an_operator_s_token_there_is_no_such_function_and_an_empty_bearer_opens_nothing() {
    let app = TestApp::start_with(Settings::variable("admin_token", "")).await;
    let _ = app.active_account("michel.ranu").await;
    let body = json!({ "username": "michel.ranu", "action": "disable" });
    app.call(NAME, body.clone()).await.problem(404, "not_found");
    app.call_as("", NAME, body.clone()).await.problem(404, "not_found");
    app.call_as("", "generate-password-v2", json!({ "username": "michel.ranu" })).await.problem(403, "proof_required");
    for path in ["/function/audit-log", "/function/rotate-keys"] {
        let method = if path.ends_with("log") { http::Method::GET } else { http::Method::POST };
        let request =
            http::Request::builder().method(method).uri(app.url(path)).header("content-type", "application/json");
        app.send(request.body("{}".into()).unwrap()).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn wrong_tokens_are_refused_audited_and_count_for_the_address() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let body = json!({ "username": "michel.ranu", "action": "disable" });
    let longer = format!("{ADMIN_TOKEN}x");
    let wrong = ["", "wrong", &ADMIN_TOKEN[1..], longer.as_str(), session.as_str()];
    for bearer in wrong {
        app.call_as(bearer, NAME, body.clone()).await.problem(401, "invalid_token");
    }
    let rows = "SELECT count(*) FROM auth_logs_v2 WHERE action = 'account_disabled' AND NOT success
                AND details ->> 'reason' = 'invalid_token' AND details ->> 'username' = 'michel.ranu'";
    assert_eq!(app.database.count(rows).await, 5);
    for _ in wrong.len()..30 {
        app.call(NAME, body.clone()).await.problem(401, "invalid_token");
    }
    app.call(NAME, body.clone()).await.problem(429, "too_many_attempts");
    app.call_as(ADMIN_TOKEN, NAME, body).await.problem(429, "too_many_attempts");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE disabled_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn every_action_answers_and_has_its_audit_row() {
    let app = TestApp::start().await;
    let _ = app.active_account("michel.ranu").await;
    for (action, audited, message) in [
        ("unlock", "account_unlocked", "Compte déverrouillé"),
        ("expire", "account_expired", "Identifiants à renouveler"),
        ("disable", "account_disabled", "Compte désactivé"),
        ("enable", "account_enabled", "Compte réactivé"),
        ("reset-2fa", "2fa_reset", "Secret 2FA effacé"),
        ("end-sessions", "sessions_ended", "Toutes les sessions de ce compte sont terminées"),
    ] {
        let expected = json!({ "success": true, "username": "michel.ranu", "message": message });
        assert_eq!(app.administer("michel.ranu", action).await.ok().0, expected);
        let last = "SELECT concat_ws(' ', action, success, details ->> 'username', details ->> 'proof')
                    FROM auth_logs_v2 ORDER BY id DESC LIMIT 1";
        assert_eq!(app.database.text(last).await, format!("{audited} t michel.ranu operator"));
    }
}

#[tokio::test]
async fn who_or_what_does_not_exist_is_said() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    let unknown = app.administer("nobody", "unlock").await.problem(404, "unknown_user");
    assert_eq!(unknown["error"], "Utilisateur inexistant");
    let problem = app.administer("michel.ranu", "delete").await.problem(400, "invalid_field");
    assert!(problem["error"].as_str().unwrap().contains("action"));
    for body in [json!({}), json!({ "username": "m" }), json!({ "action": "unlock" })] {
        app.call_as(ADMIN_TOKEN, NAME, body).await.problem(400, "missing_field");
    }
    let body = json!({ "username": Value::Null, "action": 1 });
    app.call_as(ADMIN_TOKEN, NAME, body).await.problem(400, "missing_field");
}

#[tokio::test]
async fn enabling_restores_what_was() {
    let app = TestApp::start().await;
    app.provisional_account("provisional").await;
    let mut active = app.active_account("active").await;
    for name in ["provisional", "active"] {
        app.administer(name, "disable").await.ok();
        app.administer(name, "enable").await.ok();
    }
    let states = "SELECT string_agg(concat_ws(' ', username, state), ', ' ORDER BY id) FROM users_v2";
    assert_eq!(app.database.text(states).await, "provisional provisional, active active");
    active.log_in().await.ok();
}

#[tokio::test]
async fn an_action_is_overtaken_by_another_one() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let _ = app.active_account("michel.ranu").await;
    let other = app.database.client.batch_execute("UPDATE users_v2 SET security_counter = security_counter + 1");
    wire.interrupt("/* administer */", app.administer("michel.ranu", "disable"), other).await.problem(409, "overtaken");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE disabled_at IS NOT NULL").await, 0);
}
