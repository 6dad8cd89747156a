//! `auth_logs_v2`: one row for every attempt, with its real reason.

use cofrap_tests::{MAX_AGE, TestApp};
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

async fn rows(app: &TestApp) -> Vec<String> {
    let query =
        "SELECT concat_ws(' ', action, success, user_id IS NOT NULL, details ->> 'username', details ->> 'reason')
                 FROM auth_logs_v2 ORDER BY id";
    app.database.client.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn every_attempt_has_one_row_with_its_real_reason() {
    let app = TestApp::start().await;
    app.generate_mfa("m").await.problem(403, "proof_required");
    let password = app.generate_password("m").await.ok().read_qr_code();
    app.generate_password("M").await.problem(409, "username_taken");
    app.authenticate("m", &password, "123456").await.problem(403, "mfa_enrollment_required");
    let mut m = app.provisional_account("m").await;
    app.generate_mfa("m").await.problem(403, "proof_required");
    app.authenticate("nobody", "x", Value::Null).await.problem(401, "invalid_credentials");
    app.authenticate("m", "x", "123456").await.problem(401, "invalid_credentials");
    app.authenticate("m", &m.password, Value::Null).await.problem(403, "mfa_enrollment_required");
    app.authenticate("m", &m.password, "12345").await.problem(403, "mfa_enrollment_required");
    m.log_in().await.ok();
    app.authenticate("m", &m.password, m.code_at(app.clock.now())).await.problem(401, "invalid_credentials");
    app.generate_password("m").await.problem(403, "proof_required");
    app.clock.advance(MAX_AGE + 1);
    m.log_in().await.problem(403, "password_expired");

    assert_eq!(
        rows(&app).await,
        [
            "2fa_generated f f m unknown_user",
            "password_generated t t m",
            "password_generated f f M username_taken",
            "login f t m mfa_not_enrolled",
            "password_generated t t m",
            "2fa_generated t t m",
            "2fa_generated f t m proof_required",
            "login f f nobody unknown_user",
            "login f t m wrong_password",
            "login f t m missing_code",
            "login f t m wrong_code",
            "login t t m",
            "login f t m replayed_code",
            "password_generated f t m proof_required",
            "password_expired f t m expired",
        ]
    );
}

#[tokio::test]
async fn a_request_that_is_no_attempt_has_no_row() {
    let app = TestApp::start().await;
    app.call("authenticate-user-v2", json!({ "username": 1 })).await.problem(400, "invalid_field");
    app.call("generate-password-v2", json!([])).await.problem(400, "invalid_json");
    assert!(rows(&app).await.is_empty());
}

#[tokio::test]
async fn a_row_has_the_moment_the_platform_s_address_and_the_agent_without_control_characters() {
    let app = TestApp::start().await;
    let request = Request::post(app.url("/function/generate-password-v2"))
        .header("content-type", "application/json")
        .header("user-agent", "curl\tforged: line")
        .header("spin-client-addr", "203.0.113.7:1")
        .header("x-forwarded-for", "203.0.113.8");
    app.send(request.body(Full::from(r#"{"username":"m"}"#)).unwrap()).await.ok();
    let row = "SELECT concat_ws(' | ', ip_address, user_agent, created_at) FROM auth_logs_v2";
    assert_eq!(app.database.text(row).await, "127.0.0.1 | curl\u{fffd}forged: line | 2026-01-15 12:00:00");
}

#[tokio::test]
async fn a_deleted_account_leaves_its_rows() {
    let app = TestApp::start().await;
    let _ = app.active_account("m").await;
    app.database.client.batch_execute("DELETE FROM users_v2").await.unwrap();
    assert_eq!(app.database.count("SELECT count(*) FROM auth_logs_v2 WHERE user_id IS NULL").await, 3);
    assert_eq!(app.database.count("SELECT count(*) FROM password_history_v2").await, 0);
}

/// Whoever types the password where the name belongs leaves it in no log.
#[tokio::test]
async fn a_password_that_is_typed_as_the_name_is_not_kept() {
    let app = TestApp::start().await;
    let password = "Kalt-Regen-42-Pferd";
    for _ in 0..6 {
        app.authenticate(password, "x", "000000").await;
        app.begin_login(password, "x").await;
        app.verify_code(password, "000000").await;
    }
    app.authenticate("nobody.here", "x", "000000").await;
    assert!(!app.database.dump().await.contains(password));
    let names = "SELECT string_agg(DISTINCT left(details ->> 'username', 7), ' ' ORDER BY left(details ->> 'username', 7)) FROM auth_logs_v2";
    assert_eq!(app.database.text(names).await, "digest: nobody.");
    // Who has the name is named.
    let name = "Warm-Regen-43-Pferd";
    app.generate_password(name).await.ok();
    app.authenticate(name, "x", "000000").await;
    let known = format!("SELECT count(*) FROM auth_logs_v2 WHERE details ->> 'username' = '{name}'");
    assert_eq!(app.database.count(&known).await, 2);
}

#[tokio::test]
async fn a_row_says_whether_the_name_was_known_at_the_attempt() {
    let app = TestApp::start().await;
    let mut m = app.active_account("m").await;
    let session = m.session().await;
    app.authenticate("m", "x", "123456").await.problem(401, "invalid_credentials");
    app.authenticate("nobody", "x", "123456").await.problem(401, "invalid_credentials");
    for username in ["m", "nobody"] {
        let path = format!("/function/audit-log?username={username}");
        app.request_as(cofrap_tests::ADMIN_TOKEN, http::Method::GET, &path).await.ok();
    }
    app.request_as(&session, http::Method::POST, "/function/session").await.ok();
    app.database.client.batch_execute("DELETE FROM users_v2").await.unwrap();
    let wrong =
        "SELECT string_agg(concat_ws(' ', action, details ->> 'username', details ->> 'known'), ', ' ORDER BY id)
                 FROM auth_logs_v2 WHERE (details ->> 'known')::bool IS DISTINCT FROM (details ->> 'username' = 'm')";
    assert_eq!(app.database.text(&format!("SELECT coalesce(({wrong}), '')")).await, "");
}
