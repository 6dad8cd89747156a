//! Whose an account is before anybody has completed it: who starts it over, and what only the operator may.

use super::{GENERATORS, uri};
use cofrap_tests::{ADMIN_TOKEN, Person, Settings, TestApp};
use serde_json::{Value, json};

#[tokio::test]
async fn within_15_minutes_only_the_same_address_starts_over() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let body = json!({ "username": "michel.ranu" });
    app.call_from("203.0.113.1", "generate-password-v2", body.clone()).await.ok();
    app.call_from("203.0.113.2", "generate-password-v2", body.clone()).await.problem(403, "proof_required");
    app.call_from("203.0.113.1", "generate-password-v2", body.clone()).await.ok();
    app.clock.advance(900);
    app.call_from("203.0.113.2", "generate-password-v2", body.clone()).await.problem(403, "proof_required");
    app.clock.advance(1);
    app.call_from("203.0.113.2", "generate-password-v2", body).await.ok();
}

#[tokio::test]
async fn what_the_operator_touched_only_the_operator_starts_over() {
    let app = TestApp::start().await;
    app.provisional_account("michel.ranu").await;
    app.administer("michel.ranu", "unlock").await.ok();
    let bare = json!({ "username": "michel.ranu" });
    for function in GENERATORS {
        app.call(function, bare.clone()).await.problem(403, "proof_required");
    }
    let password = app.call_as(ADMIN_TOKEN, "generate-password-v2", bare.clone()).await.ok().read_qr_code();
    let uri = uri(app.call_as(ADMIN_TOKEN, "generate-2fa-v2", bare).await);
    Person::new(&app, "michel.ranu", password, &uri).log_in().await.ok();
}

#[tokio::test]
async fn where_the_operator_registers_nobody_else_creates_or_starts_over() {
    let app = TestApp::start().await;
    app.generate_password("before").await.ok();
    let app = app.restart_with(Settings::variable("registration", "operator")).await;
    let unknown = app.generate_password("nobody").await;
    unknown.problem(403, "proof_required");
    assert_eq!(app.generate_password("before").await.visible(), unknown.visible());
    assert_eq!(app.generate_mfa("before").await.visible(), unknown.visible());
    assert_eq!(
        app.call_as("wrong", "generate-password-v2", json!({ "username": "nobody" })).await.visible(),
        unknown.visible()
    );
    let body = json!({ "username": "somebody.new" });
    let password = app.call_as(ADMIN_TOKEN, "generate-password-v2", body.clone()).await.ok().read_qr_code();
    app.generate_mfa("somebody.new").await.problem(403, "proof_required");
    let uri = uri(app.call_as(ADMIN_TOKEN, "generate-2fa-v2", body).await);
    Person::new(&app, "somebody.new", password, &uri).log_in().await.ok();
}

#[tokio::test]
async fn enrolling_a_second_factor_on_somebody_s_new_account_does_not_let_a_stranger_start_it_over() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let body = json!({ "username": "michel.ranu" });
    app.call_from("203.0.113.1", "generate-password-v2", body.clone()).await.ok();
    app.call_from("198.51.100.66", "generate-2fa-v2", body.clone()).await.ok();
    app.call_from("198.51.100.66", "generate-password-v2", body.clone()).await.problem(403, "proof_required");
    app.call_from("203.0.113.1", "generate-password-v2", body).await.ok();
}

#[tokio::test]
async fn the_operator_touched_a_provisional_account_and_its_own_credentials_replace_nothing() {
    let app = TestApp::start().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    app.administer("michel.ranu", "unlock").await.ok();
    for function in GENERATORS {
        let body = michel.with_credentials();
        app.call(function, body).await.problem(403, "proof_required");
    }
    michel.log_in().await.ok();
}

#[tokio::test]
async fn legacy_with_a_closed_registration_starts_nobody_over() {
    let app = TestApp::start_with(Settings::variable("policy", "legacy")).await;
    app.provisional_account("provisional").await;
    let _ = app.active_account("active").await;
    let settings = Settings::variable("policy", "legacy").and("registration", "operator");
    let app = app.restart_with(settings).await;
    app.generate_password("provisional").await.problem(403, "proof_required");
    app.generate_password("nobody").await.problem(403, "proof_required");
    app.generate_password("active").await.ok();
}

/// Somebody whose sign-up broke off after the second factor was shown, on another machine than the one that it began on.
#[tokio::test]
async fn a_secret_that_no_login_has_proven_is_replaced_with_the_password() {
    for is_chosen in [false, true] {
        let app = TestApp::start_with(Settings::behind_a_proxy()).await;
        let mut michel = if is_chosen {
            app.chosen_account("michel.ranu").await
        } else {
            app.provisional_account("michel.ranu").await
        };
        app.generate_mfa("michel.ranu").await.problem(403, "proof_required");
        let login = |code: &str| json!({ "username": "michel.ranu", "password": michel.password, "2FA_code": code });
        for body in [login("000000"), login("")] {
            app.call_from("203.0.113.9", "authenticate-user-v2", body).await.problem(403, "mfa_enrollment_required");
        }
        let counted = "SELECT coalesce(sum(failures), 0)::bigint FROM throttles WHERE locked_until >= 0 AND place = ''";
        assert!(app.database.count(counted).await > 0, "a wrong code is a failure");
        let body = json!({ "username": "michel.ranu", "password": michel.password });
        let uri = app.call_from("203.0.113.9", "generate-2fa-v2", body).await.ok().read_qr_code();
        michel.log_in().await.problem(403, "mfa_enrollment_required");
        michel.scan(&uri);
        michel.log_in().await.ok();
        // Proven from here on.
        app.authenticate("michel.ranu", &michel.password, "000000").await.problem(401, "invalid_credentials");
        let body = json!({ "username": "michel.ranu", "password": michel.password });
        app.call("generate-2fa-v2", body).await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn by_two_steps_too_an_unproven_secret_is_replaced() {
    let app = TestApp::start().await;
    for is_chosen in [false, true] {
        let name = format!("michel.{is_chosen}");
        let mut michel = if is_chosen { app.chosen_account(&name).await } else { app.provisional_account(&name).await };
        let begun = app.begin_login(&name, &michel.password).await.ok().0;
        assert_eq!(begun["2fa_required"], true);
        let body = json!({ "username": name, "challenge": begun["challenge"] });
        let uri = app.call("generate-2fa-v2", body).await.ok().read_qr_code();
        michel.scan(&uri);
        michel.log_in().await.ok();
        let challenge = michel.challenge().await;
        let body = json!({ "username": name, "challenge": challenge });
        app.call("generate-2fa-v2", body).await.problem(403, "proof_required");
    }
}

#[tokio::test]
async fn no_other_account_says_that_its_password_was_right() {
    let app = TestApp::start().await;
    // Of another program, touched by the operator, disabled.
    for change in ["UPDATE users_v2 SET origin = 'external', standing_binding = NULL", "unlock", "disable"] {
        let michel = app.provisional_account("michel.ranu").await;
        match change.split_once(' ') {
            Some(_) => app.database.client.batch_execute(change).await.unwrap(),
            None => drop(app.administer("michel.ranu", change).await.ok()),
        }
        for code in [json!("000000"), Value::Null] {
            app.authenticate("michel.ranu", &michel.password, code).await.problem(401, "invalid_credentials");
        }
        let body = json!({ "username": "michel.ranu", "password": michel.password });
        let answer = app.call("generate-2fa-v2", body).await;
        assert!([401, 403].contains(&answer.status), "{change}: {}", answer.body);
        app.database.client.batch_execute("DELETE FROM users_v2; DELETE FROM throttles").await.unwrap();
    }
    let michel = app.provisional_account("michel.ranu").await;
    for settings in [Settings::variable("registration", "operator"), Settings::variable("policy", "legacy")] {
        let app = app.restart_with(settings).await;
        app.authenticate("michel.ranu", &michel.password, "000000").await.problem(401, "invalid_credentials");
    }
    // A code that was used is a code that was right.
    let app = TestApp::start().await;
    let michel = app.provisional_account("michel.ranu").await;
    let code = michel.code_at(app.clock.now());
    app.verify_code("michel.ranu", &code).await.ok();
    app.authenticate("michel.ranu", &michel.password, code).await.problem(401, "invalid_credentials");
}
