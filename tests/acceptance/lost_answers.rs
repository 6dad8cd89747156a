//! Who never saw the new password, because the answer that held it got lost, asks again with the one before.

use cofrap_tests::{MAX_AGE, Person, STEP, TestApp};
use serde_json::{Value, json};

/// A body that shows a password and a fresh code.
fn shown(person: &mut Person<'_>, password: &str) -> Value {
    let code = person.fresh_code();
    json!({ "username": person.username, "password": password, "2FA_code": code })
}

/// Somebody whose password was replaced, and who has not seen the new one; the one before.
async fn lost(app: &TestApp) -> (Person<'_>, String) {
    let mut michel = app.active_account("michel.ranu").await;
    let before = michel.password.clone();
    let body = michel.with_credentials();
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    (michel, before)
}

#[tokio::test]
async fn for_15_minutes_the_password_before_proves_at_the_generators_with_a_fresh_code() {
    let app = TestApp::start().await;
    let (mut michel, before) = lost(&app).await;
    app.clock.advance(900 - STEP);
    let code = michel.fresh_code();
    let spent = json!({ "username": "michel.ranu", "password": before, "2FA_code": code });
    // And the answer is lost again.
    app.call("generate-password-v2", spent.clone()).await.ok();
    app.call("generate-password-v2", spent).await.problem(401, "invalid_credentials");
    app.clock.advance(900 - STEP);
    let body = shown(&mut michel, &before);
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    michel.log_in().await.ok();
    let proofs = "SELECT string_agg(details ->> 'proof', ' ' ORDER BY id) FROM auth_logs_v2
                  WHERE action = 'password_generated' AND success";
    assert_eq!(app.database.text(proofs).await, "credentials previous_credentials previous_credentials");
}

#[tokio::test]
async fn the_password_before_replaces_the_second_factor_too() {
    let app = TestApp::start().await;
    let (mut michel, before) = lost(&app).await;
    let body = shown(&mut michel, &before);
    app.call("generate-2fa-v2", body).await.ok();
    let body = shown(&mut michel, &before);
    app.call("generate-password-v2", body).await.ok();
}

#[tokio::test]
async fn the_password_before_is_no_login_and_proves_nothing_without_a_fresh_code_or_later() {
    let app = TestApp::start().await;
    let (mut michel, before) = lost(&app).await;
    for code in [michel.fresh_code(), "000000".to_owned()] {
        app.authenticate("michel.ranu", &before, code).await.problem(401, "invalid_credentials");
    }
    app.begin_login("michel.ranu", &before).await.problem(401, "invalid_credentials");
    let without = json!({ "username": "michel.ranu", "password": before });
    app.call("generate-password-v2", without).await.problem(401, "invalid_credentials");
    app.clock.advance(901);
    let body = shown(&mut michel, &before);
    app.call("generate-password-v2", body).await.problem(401, "invalid_credentials");
    app.clock.advance(900);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn it_ends_with_the_new_password_s_first_use_and_with_whatever_the_operator_does() {
    for ending in
        ["login", "first step", "wrong code", "proof", "unlock", "expire", "end-sessions", "operator's password"]
    {
        let app = TestApp::start().await;
        let (mut michel, before) = lost(&app).await;
        match ending {
            "login" => drop(michel.log_in().await.ok()),
            "first step" => drop(michel.challenge().await),
            "wrong code" => {
                app.authenticate("michel.ranu", &michel.password, "000000").await.problem(401, "invalid_credentials");
            }
            "proof" => {
                let body = michel.with_credentials();
                app.call("generate-2fa-v2", body).await.ok();
            }
            "operator's password" => {
                let body = json!({ "username": "michel.ranu" });
                app.call_as(cofrap_tests::ADMIN_TOKEN, "generate-password-v2", body).await.ok();
            }
            action => drop(app.administer("michel.ranu", action).await.ok()),
        }
        let body = shown(&mut michel, &before);
        app.call("generate-password-v2", body).await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn a_chosen_password_proves_as_well_once_a_generated_one_has_replaced_it() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    michel.log_in().await.ok();
    let before = michel.password.clone();
    let body = michel.with_credentials();
    app.call("generate-password", body).await.ok();
    let body = shown(&mut michel, &before);
    let answer = app.call("generate-password", body).await.ok().0;
    michel.password = answer["password"].as_str().unwrap().to_owned();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn the_new_password_s_first_use_between_the_two_statements_is_seen() {
    for function in ["generate-password-v2", "generate-2fa-v2"] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let (mut michel, before) = lost(&app).await;
        let body = shown(&mut michel, &before);
        let first_use = async { app.begin_login("michel.ranu", &michel.password).await.ok() };
        wire.interrupt("$20", app.call(function, body), first_use).await.problem(409, "overtaken");
    }
}

#[tokio::test]
async fn asked_for_twice_by_a_renewal_the_password_that_somebody_knows_stays_the_one_before() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let before = michel.password.clone();
    app.clock.advance(MAX_AGE + 1);
    let expired = michel.log_in().await.problem(403, "password_expired");
    assert_eq!(expired["renewal_due"], json!(["password", "second_factor"]));
    let renewal = json!({ "username": "michel.ranu", "renewal_token": expired["renewal_token"] });
    for _ in 0..2 {
        app.call("generate-password-v2", renewal.clone()).await.ok();
    }
    let body = shown(&mut michel, &before);
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    let expired = michel.log_in().await.problem(403, "password_expired");
    assert_eq!(expired["renewal_due"], json!(["second_factor"]));
}
