//! `POST /function/authentication`, the first step of a login: what a caller can rely on.

use cofrap_tests::{CHOSEN_PASSWORD, MAX_AGE, Settings, TestApp};
use serde_json::json;

#[tokio::test]
async fn a_right_password_gives_a_challenge_and_says_what_follows_and_never_a_session() {
    let app = TestApp::start().await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let mut begun = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    assert!(begun["challenge"].take().as_str().unwrap().len() > 40);
    assert_eq!(begun, json!({ "authenticated": true, "2fa_setup_required": true, "challenge": null }));
    let body = json!({ "username": "michel.ranu", "password": CHOSEN_PASSWORD });
    app.call("generate-2fa", body).await.ok();
    let mut begun = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    begun["challenge"].take();
    assert_eq!(begun, json!({ "authenticated": true, "2fa_required": true, "challenge": null }));
    let account = "SELECT concat_ws(' ', state, login_counter) FROM users_v2";
    assert_eq!(app.database.text(account).await, "provisional 0");
    let audit = "SELECT concat_ws(' ', action, success, user_id) FROM auth_logs_v2 ORDER BY id DESC LIMIT 1";
    assert_eq!(app.database.text(audit).await, "password_verified t 1");
}

#[tokio::test]
async fn every_refusal_looks_the_same() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let michel = app.chosen_account("michel.ranu").await;
    let _ = app.chosen_account("disabled").await;
    let _ = app.provisional_account("second.generation").await;
    app.administer("disabled", "disable").await.ok();
    let hash = app.database.text("SELECT password::text FROM users_v2 WHERE username = 'michel.ranu'").await;
    let unknown = app.begin_login("nobody", CHOSEN_PASSWORD).await;
    let problem = unknown.problem(401, "invalid_credentials");
    assert_eq!(problem["authenticated"], json!(false));
    for (name, password) in [
        ("michel.ranu", "wrong"),
        ("Michel.Ranu", CHOSEN_PASSWORD),
        ("michel.ranu", &hash),
        ("disabled", CHOSEN_PASSWORD),
        ("disabled", "wrong"),
        ("second.generation", "wrong"),
    ] {
        assert_eq!(app.begin_login(name, password).await.visible(), unknown.visible(), "{name} {password}");
    }
    let reasons = "SELECT string_agg(details ->> 'reason', ' ' ORDER BY id) FROM auth_logs_v2
                   WHERE action = 'password_verified' AND NOT success";
    assert_eq!(
        app.database.text(reasons).await,
        "unknown_user wrong_password unknown_user wrong_password account_disabled wrong_password wrong_password"
    );
    assert_eq!(michel.password, CHOSEN_PASSWORD);
}

#[tokio::test]
async fn missing_names_and_passwords_are_asked_for_in_the_contract_s_words() {
    let app = TestApp::start().await;
    for body in [json!({}), json!({ "username": "m" }), json!({ "password": "p" })] {
        let problem = app.call("authentication", body).await.problem(400, "missing_field");
        assert_eq!(problem["error"], "Missing username or password");
        assert!(problem.get("authenticated").is_none());
    }
}

#[tokio::test]
async fn accounts_of_the_second_generation_log_in_by_steps_and_those_of_the_first_at_once() {
    let app = TestApp::start().await;
    let mut second = app.active_account("second").await;
    let session = second.log_in_by_steps().await.ok().0;
    app.session(session["token"].as_str().unwrap()).await.ok();
    let mut first = app.chosen_account("first").await;
    first.log_in().await.ok();
    first.log_in_by_steps().await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE state = 'active'").await, 2);
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE password LIKE '$2b$%'").await, 1);
}

#[tokio::test]
async fn a_challenge_enrols_an_account_that_has_no_second_factor_and_dies_with_that() {
    let app = TestApp::start().await;
    app.create_account("first", CHOSEN_PASSWORD).await.ok();
    let second = app.generate_password("second").await.ok().read_qr_code();
    for (name, password) in [("first", CHOSEN_PASSWORD), ("second", second.as_str())] {
        let begun = app.begin_login(name, password).await.ok().0;
        let body = json!({ "username": name, "challenge": begun["challenge"] });
        let other =
            json!({ "username": if name == "first" { "second" } else { "first" }, "challenge": begun["challenge"] });
        app.call("generate-2fa", other).await.problem(403, "proof_required");
        let enrolled = app.call("generate-2fa", body.clone()).await.ok();
        app.call("generate-2fa", body).await.problem(403, "proof_required");
        let uri = enrolled.read_image("qr_base64");
        let mut person = cofrap_tests::Person::new(&app, name, password.to_owned(), &uri);
        let code = person.fresh_code();
        let challenge = begun["challenge"].as_str().unwrap();
        app.complete_login(name, &code, challenge).await.problem(401, "invalid_credentials");
        person.log_in_by_steps().await.ok();
    }
}

#[tokio::test]
async fn wrong_passwords_lock_the_name_and_nothing_is_judged_then() {
    let app = TestApp::start().await;
    for name in ["nobody", "somebody"] {
        app.create_account("somebody", CHOSEN_PASSWORD).await;
        for _ in 0..5 {
            app.begin_login(name, "wrong").await.problem(401, "invalid_credentials");
        }
        let locked = app.begin_login(name, CHOSEN_PASSWORD).await;
        locked.problem(429, "too_many_attempts");
        assert_eq!(locked.header("retry-after"), "30");
        app.authenticate(name, CHOSEN_PASSWORD, "000000").await.problem(429, "too_many_attempts");
        app.verify_code(name, "000000").await.problem(429, "too_many_attempts");
        app.call("generate-2fa", json!({ "username": name, "password": CHOSEN_PASSWORD }))
            .await
            .problem(429, "too_many_attempts");
    }
}

#[tokio::test]
async fn a_right_password_does_not_end_a_row_of_failures() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    for _ in 0..4 {
        app.begin_login("michel.ranu", "wrong").await.problem(401, "invalid_credentials");
        app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok();
    }
    michel.log_in_by_steps().await.ok();
    app.begin_login("michel.ranu", "wrong").await.problem(401, "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_60_parallel_wrong_passwords_at_most_5_are_answered() {
    let app = std::sync::Arc::new(TestApp::start().await);
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let attempts: Vec<_> = (0..60)
        .map(|_| {
            let app = std::sync::Arc::clone(&app);
            tokio::spawn(async move { app.begin_login("michel.ranu", "wrong").await.status })
        })
        .collect();
    let mut refused = 0;
    for attempt in attempts {
        refused += i32::from(attempt.await.unwrap() == 401);
    }
    assert_eq!(refused, 5);
}

#[tokio::test]
async fn expiry_is_not_said_before_the_code() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    michel.log_in_by_steps().await.ok();
    app.clock.advance(MAX_AGE + 1);
    let challenge = michel.challenge().await;
    app.complete_login("michel.ranu", "000000", &challenge).await.problem(401, "invalid_credentials");
    let code = michel.fresh_code();
    let expired = app.complete_login("michel.ranu", &code, &challenge).await.problem(403, "password_expired");
    let body = json!({ "username": "michel.ranu", "renewal_token": expired["renewal_token"] });
    let changed = app.call("generate-password", body.clone()).await.ok().0;
    michel.password = changed["password"].as_str().unwrap().to_owned();
    michel.scan(&app.call("generate-2fa", body).await.ok().read_image("qr_base64"));
    app.clock.advance(30);
    michel.log_in_by_steps().await.ok();
}

#[tokio::test]
async fn under_legacy_a_right_password_completes_the_login_of_who_has_no_second_factor() {
    let app = TestApp::start_with(Settings::variable("policy", "legacy")).await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    app.begin_login("michel.ranu", "wrong").await.problem(401, "invalid_credentials");
    let begun = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    assert_eq!((&begun["2fa_setup_required"], begun.get("token")), (&json!(true), None));
    // The creation and the failure are counted for the address; of the name, nothing is left.
    let account = "SELECT concat_ws(' ', state, legacy, (SELECT count(*) FROM throttles)) FROM users_v2";
    assert_eq!(app.database.text(account).await, "active t 2");
    // Not only the first login's challenge is worth something.
    let again = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    let body = json!({ "username": "michel.ranu", "challenge": again["challenge"] });
    app.call("generate-2fa", body).await.ok();
    app.database
        .client
        .batch_execute("UPDATE users_v2 SET mfa = NULL, mfa_key = NULL, mfa_binding = NULL")
        .await
        .unwrap();
    app.clock.advance(MAX_AGE + 1);
    app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.problem(403, "password_expired");
}
