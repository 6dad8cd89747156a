//! `POST /function/generate-password`: what a caller can rely on.

use cofrap_tests::{ADMIN_TOKEN, CHOSEN_PASSWORD, Settings, TestApp};
use serde_json::json;

#[tokio::test]
async fn with_proof_the_new_password_is_in_the_answer_and_stored_as_a_hash() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let session = michel.log_in_by_steps().await.ok().0["token"].as_str().unwrap().to_owned();
    let body = json!({ "username": "michel.ranu" });
    let changed = app.call_as(&session, "generate-password", body).await.ok().0;
    assert_eq!(changed["message"], "Password updated for user 'michel.ranu'");
    let password = changed["password"].as_str().unwrap().to_owned();
    assert_eq!((password.chars().count(), changed.as_object().unwrap().len()), (24, 2));
    assert!(!app.database.dump().await.contains(&password));
    let stored = "SELECT concat_ws(' ', left(password, 7), (SELECT count(*) FROM password_history_v2 WHERE password LIKE '$2b$%'))
                  FROM users_v2";
    assert_eq!(app.database.text(stored).await, "$2b$12$ 2");
    app.session(&session).await.problem(401, "invalid_token");
    app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.problem(401, "invalid_credentials");
    michel.password = password;
    michel.log_in_by_steps().await.ok();
    let mut body = michel.with_credentials();
    body["unknown"] = json!(1);
    michel.password = app.call("generate-password", body).await.ok().0["password"].as_str().unwrap().to_owned();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn an_unknown_name_gets_no_account_and_looks_like_one_that_needs_proof() {
    let app = TestApp::start().await;
    let _ = app.active_account("michel.ranu").await;
    let (known, unknown) = (json!({ "username": "michel.ranu" }), json!({ "username": "nobody" }));
    let refused = app.call("generate-password", known).await;
    refused.problem(403, "proof_required");
    assert_eq!(app.call("generate-password", unknown.clone()).await.visible(), refused.visible());
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 1);
    let with_password = |name| json!({ "username": name, "password": "wrong", "2FA_code": "000000" });
    let refused = app.call("generate-password", with_password("michel.ranu")).await;
    refused.problem(401, "invalid_credentials");
    assert_eq!(app.call("generate-password", with_password("nobody")).await.visible(), refused.visible());

    let text = "User 'nobody' not found in database";
    let as_operator = app.call_as(ADMIN_TOKEN, "generate-password", unknown.clone()).await;
    assert_eq!(as_operator.problem(404, "unknown_user")["error"], text);
    let legacy = app.restart_with(Settings::variable("policy", "legacy")).await;
    assert_eq!(legacy.call("generate-password", unknown).await.problem(404, "unknown_user")["error"], text);
    let body = json!({ "username": "michel.ranu" });
    legacy.call("generate-password", body).await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE legacy").await, 1);
}

#[tokio::test]
async fn an_account_that_a_bare_generation_made_starts_over_and_one_that_was_created_does_not() {
    let app = TestApp::start().await;
    app.provisional_account("second").await;
    app.create_account("first", CHOSEN_PASSWORD).await.ok();
    app.call("generate-password", json!({ "username": "second" })).await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE mfa IS NOT NULL").await, 0);
    app.call("generate-password", json!({ "username": "first" })).await.problem(403, "proof_required");
}

#[tokio::test]
async fn a_missing_name_is_asked_for_in_the_contract_s_words() {
    let app = TestApp::start().await;
    let problem = app.call("generate-password", json!({ "password": "x" })).await.problem(400, "missing_field");
    assert_eq!(problem["error"], "Username is required");
}

#[tokio::test]
async fn a_challenge_replaces_no_password() {
    let app = TestApp::start().await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let begun = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    let body = json!({ "username": "michel.ranu", "challenge": begun["challenge"] });
    for function in ["generate-password", "generate-password-v2"] {
        app.call(function, body.clone()).await.problem(403, "proof_required");
    }
}
