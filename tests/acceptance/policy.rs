//! Strict and legacy: the same journeys, and the one table of what differs.

use cofrap_tests::{MAX_AGE, Person, Settings, TestApp};
use serde_json::{Value, json};

fn legacy() -> Settings {
    Settings::variable("policy", "legacy")
}

#[tokio::test]
async fn both_policies_run_the_seed_s_walkthrough() {
    for policy in ["strict", "legacy"] {
        let app = TestApp::start_with(Settings::variable("policy", policy)).await;
        let mut michel = app.provisional_account("michel.ranu").await;
        let login = michel.log_in().await.ok().0;
        assert_eq!((&login["success"], &login["username"]), (&json!(true), &json!("michel.ranu")), "{policy}");
        assert_eq!(login.get("token").is_some(), policy == "strict");
        michel.log_in().await.ok();
        let used = michel.code_at(app.clock.now());
        app.authenticate("michel.ranu", &michel.password, used).await.problem(401, "invalid_credentials");
        app.authenticate("michel.ranu", "wrong", "000000").await.problem(401, "invalid_credentials");
        app.clock.advance(MAX_AGE + 1);
        let expired = michel.log_in().await.problem(403, "password_expired");
        assert_eq!(expired["error"], "Mot de passe expiré");
        let body = json!({ "username": "michel.ranu", "renewal_token": expired["renewal_token"] });
        michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
        michel.scan(&app.call("generate-2fa-v2", body).await.ok().read_qr_code());
        app.clock.advance(30);
        michel.log_in().await.ok();
    }
}

#[tokio::test]
async fn legacy_generation_needs_no_proof_and_marks_the_account() {
    let app = TestApp::start_with(legacy()).await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(30);
    michel.password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    michel.log_in().await.ok();
    app.clock.advance(30);
    michel.scan(&app.generate_mfa("michel.ranu").await.ok().read_qr_code());
    michel.log_in().await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE legacy").await, 1);
    let strict = TestApp::start().await;
    strict.provisional_account("michel.ranu").await;
    assert_eq!(strict.database.count("SELECT count(*) FROM users_v2 WHERE legacy").await, 0);
}

#[tokio::test]
async fn legacy_never_opens_disabled_or_operator_touched_accounts() {
    let app = TestApp::start_with(legacy()).await;
    let _ = app.active_account("disabled").await;
    let _ = app.active_account("touched").await;
    app.administer("disabled", "disable").await.ok();
    app.administer("touched", "unlock").await.ok();
    for name in ["disabled", "touched"] {
        app.generate_password(name).await.problem(403, "proof_required");
        app.generate_mfa(name).await.problem(403, "proof_required");
    }
}

#[tokio::test]
async fn legacy_asks_for_the_code_only_of_accounts_that_have_a_second_factor() {
    let app = TestApp::start_with(legacy()).await;
    let password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    app.authenticate("michel.ranu", &password, Value::Null).await.ok();
    let uri = app.generate_mfa("michel.ranu").await.ok().read_qr_code();
    app.authenticate("michel.ranu", &password, Value::Null).await.problem(401, "invalid_credentials");
    Person::new(&app, "michel.ranu", password, &uri).log_in().await.ok();
}

#[tokio::test]
async fn legacy_says_what_was_wrong_and_strict_does_not() {
    for (policy, unknown, missing, wrong) in [
        ("legacy", "Utilisateur inexistant", "Code 2FA requis", "Code 2FA incorrect"),
        ("strict", "Mot de passe incorrect", "Mot de passe incorrect", "Mot de passe incorrect"),
    ] {
        let app = TestApp::start_with(Settings::variable("policy", policy)).await;
        let mut michel = app.active_account("michel.ranu").await;
        let used = michel.fresh_code();
        app.authenticate("michel.ranu", &michel.password, used.as_str()).await.ok();
        let text = async |name: &str, password: &str, code: Value| {
            app.authenticate(name, password, code).await.problem(401, "invalid_credentials")["error"].clone()
        };
        assert_eq!(text("nobody", "x", json!("123456")).await, unknown);
        assert_eq!(text("michel.ranu", &michel.password, Value::Null).await, missing);
        assert_eq!(text("michel.ranu", &michel.password, json!("00000")).await, wrong);
        assert_eq!(text("michel.ranu", &michel.password, json!(used)).await, wrong);
        assert_eq!(text("michel.ranu", "x", json!(used)).await, "Mot de passe incorrect");
    }
    let app = TestApp::start_with(legacy()).await;
    let problem = app.generate_mfa("nobody").await.problem(404, "unknown_user");
    assert_eq!(problem["error"], "Utilisateur inexistant");
}

#[tokio::test]
async fn legacy_takes_no_session_that_was_given_before() {
    let app = TestApp::start().await;
    let token = app.active_account("michel.ranu").await.session().await;
    let app = app.restart_with(legacy()).await;
    app.session(&token).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn legacy_weakens_no_throttling_and_no_audit() {
    let app = TestApp::start_with(legacy()).await;
    let _ = app.active_account("michel.ranu").await;
    for _ in 0..5 {
        app.authenticate("michel.ranu", "wrong", "000000").await.problem(401, "invalid_credentials");
    }
    app.authenticate("michel.ranu", "wrong", "000000").await.problem(429, "too_many_attempts");
    assert_eq!(app.attempts("action = 'login'").await, 7);
}

#[tokio::test]
async fn any_other_policy_is_refused() {
    let app = TestApp::start_with(Settings::variable("policy", "Legacy")).await;
    app.generate_password("michel.ranu").await.problem(503, "unavailable");
    assert!(app.log().contains("variable settings: policy must be strict or legacy"), "{}", app.log());
}
