//! `POST /function/generate-2fa`: what a caller can rely on.

use cofrap_tests::{ADMIN_TOKEN, CHOSEN_PASSWORD, Person, Settings, TestApp};
use serde_json::json;

#[tokio::test]
async fn the_secret_is_in_the_answer_as_text_and_as_a_qr_code_of_the_first_generation_s_issuer() {
    let app = TestApp::start().await;
    app.create_account("Ève Dupont", CHOSEN_PASSWORD).await.ok();
    let body = json!({ "username": "Ève Dupont", "password": CHOSEN_PASSWORD, "issuer": 42 });
    let answer = app.call("generate-2fa", body).await.ok();
    assert_eq!(answer.0["message"], "2FA secret generated and saved");
    assert_eq!(answer.0.as_object().unwrap().len(), 3);
    let secret = answer.0["secret"].as_str().unwrap();
    assert!(secret.len() == 32 && secret.bytes().all(|byte| b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".contains(&byte)));
    let uri = format!("otpauth://totp/MSPR-App:%C3%88ve%20Dupont?secret={secret}&issuer=MSPR-App");
    assert_eq!(answer.read_image("qr_base64"), uri);
    assert_eq!(app.unseal(app.database.text("SELECT mfa::text FROM users_v2").await), secret);
    Person::new(&app, "Ève Dupont", CHOSEN_PASSWORD.to_owned(), &uri).log_in_by_steps().await.ok();
}

#[tokio::test]
async fn on_an_active_account_it_needs_proof_and_waits_for_its_first_code() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    michel.log_in_by_steps().await.ok();
    app.call("generate-2fa", json!({ "username": "michel.ranu" })).await.problem(403, "proof_required");
    let challenge = michel.challenge().await;
    let body = json!({ "username": "michel.ranu", "challenge": challenge });
    app.call("generate-2fa", body).await.problem(403, "proof_required");
    let body = michel.with_credentials();
    let mut other = michel.with_second_factor(&app.call("generate-2fa", body).await.ok().read_image("qr_base64"));
    app.clock.advance(30);
    michel.log_in_by_steps().await.ok();
    other.log_in_by_steps().await.problem(401, "invalid_credentials");
    app.clock.advance(30);
    other.log_in_by_steps().await.ok();
    michel.log_in_by_steps().await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn an_unknown_name_looks_like_one_that_needs_proof() {
    let app = TestApp::start().await;
    let _ = app.active_account("michel.ranu").await;
    let (known, unknown) = (json!({ "username": "michel.ranu" }), json!({ "username": "nobody" }));
    let refused = app.call("generate-2fa", known).await;
    refused.problem(403, "proof_required");
    assert_eq!(app.call("generate-2fa", unknown.clone()).await.visible(), refused.visible());
    let as_operator = app.call_as(ADMIN_TOKEN, "generate-2fa", unknown.clone()).await;
    assert_eq!(as_operator.problem(404, "unknown_user")["error"], "User does not exist");
    let legacy = app.restart_with(Settings::variable("policy", "legacy")).await;
    let problem = legacy.call("generate-2fa", unknown).await.problem(404, "unknown_user");
    assert_eq!(problem["error"], "User does not exist");
}

#[tokio::test]
async fn a_missing_name_is_asked_for_in_the_contract_s_words() {
    let app = TestApp::start().await;
    let problem = app.call("generate-2fa", json!({})).await.problem(400, "missing_field");
    assert_eq!(problem["error"], "Username required");
}
