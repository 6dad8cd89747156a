//! `POST /function/verify-2fa`: a code alone, or with a challenge the second step of a login.

use cofrap_crypto::{LoginTokenClaims, TokenPurpose};
use cofrap_tests::{CHOSEN_PASSWORD, Person, Settings, TestApp};
use serde_json::json;

fn wrong_code(person: &Person<'_>, app: &TestApp) -> &'static str {
    let now = app.clock.now();
    let right: Vec<_> = (-2..=2).map(|step| person.code_at(now + 30 * step)).collect();
    ["000000", "000001", "000002", "000003", "000004", "000005"]
        .into_iter()
        .find(|code| right.iter().all(|right| right != code))
        .unwrap()
}

#[tokio::test]
async fn with_a_challenge_a_right_code_completes_the_login() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let (challenge, code) = (michel.challenge().await, michel.fresh_code());
    let login = app.complete_login("michel.ranu", &code, &challenge).await.ok().0;
    assert_eq!(login["message"], "✅ Token is valid");
    assert_eq!((&login["token_type"], &login["expires_in"]), (&json!("Bearer"), &json!(1800)));
    app.session(login["token"].as_str().unwrap()).await.ok();
    let account = "SELECT concat_ws(' ', state, login_counter) FROM users_v2";
    assert_eq!(app.database.text(account).await, "active 1");
    let audit = "SELECT concat_ws(' ', action, success) FROM auth_logs_v2 ORDER BY id DESC LIMIT 1";
    assert_eq!(app.database.text(audit).await, "login t");
}

#[tokio::test]
async fn without_a_challenge_a_code_is_only_judged_and_used_up() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    for _ in 0..3 {
        app.begin_login("michel.ranu", "wrong").await.problem(401, "invalid_credentials");
    }
    let (challenge, code) = (michel.challenge().await, michel.fresh_code());
    let judged = app.verify_code("michel.ranu", &code).await.ok().0;
    assert_eq!(judged, json!({ "message": "✅ Token is valid" }));
    // Neither again, nor by any other function.
    let replayed = app.verify_code("michel.ranu", &code).await.problem(401, "invalid_credentials");
    assert_eq!(replayed["error"], "❌ Invalid token");
    let account = "SELECT concat_ws(' ', state, login_counter, otp_failures) FROM users_v2";
    assert_eq!(app.database.text(account).await, "provisional 0 0");
    // The row of failures went on: three passwords, the replay, and this.
    app.complete_login("michel.ranu", &code, &challenge).await.problem(401, "invalid_credentials");
    app.verify_code("michel.ranu", &code).await.problem(429, "too_many_attempts");
    let audit = "SELECT string_agg(concat_ws(' ', action, success, details ->> 'reason'), ', ' ORDER BY id)
                 FROM auth_logs_v2 WHERE action IN ('login', 'code_verified')";
    assert_eq!(app.database.text(audit).await, "code_verified t, code_verified f replayed_code, login f replayed_code");
    assert_eq!(app.attempts("action = 'code_verified' AND details ->> 'reason' = 'too_many_attempts'").await, 1);
}

#[tokio::test]
async fn a_waiting_second_factor_is_proven_by_a_login_and_not_by_a_code_alone() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let session = michel.log_in_by_steps().await.ok().0["token"].as_str().unwrap().to_owned();
    let waiting = app.call_as(&session, "generate-2fa", json!({ "username": "michel.ranu" })).await.ok();
    let mut other = michel.with_second_factor(&waiting.read_image("qr_base64"));
    let code = other.fresh_code();
    app.verify_code("michel.ranu", &code).await.problem(401, "invalid_credentials");
    let before = "SELECT concat_ws(' ', pending_mfa IS NOT NULL, mfa_generation) FROM users_v2";
    assert_eq!(app.database.text(before).await, "t 1");
    let challenge = other.challenge().await;
    app.complete_login("michel.ranu", &code, &challenge).await.ok();
    assert_eq!(app.database.text(before).await, "f 2");
    michel.log_in_by_steps().await.problem(401, "invalid_credentials");
    other.log_in_by_steps().await.ok();
}

#[tokio::test]
async fn a_challenge_dies_after_5_minutes_after_use_and_with_any_other_login() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let complete = async |person: &mut Person<'_>, challenge: &str| {
        let code = person.fresh_code();
        app.complete_login("michel.ranu", &code, challenge).await.status
    };
    app.clock.advance(10);
    let late = michel.challenge().await;
    app.clock.advance(300);
    assert_eq!(complete(&mut michel, &late).await, 401);
    let in_time = michel.challenge().await;
    app.clock.advance(299);
    assert_eq!(complete(&mut michel, &in_time).await, 200);
    assert_eq!(complete(&mut michel, &in_time).await, 401);
    let (one, other) = (michel.challenge().await, michel.challenge().await);
    assert_eq!(complete(&mut michel, &one).await, 200);
    assert_eq!(complete(&mut michel, &other).await, 401);
    let overtaken = michel.challenge().await;
    michel.log_in().await.ok();
    assert_eq!(complete(&mut michel, &overtaken).await, 401);
}

#[tokio::test]
async fn a_challenge_dies_with_new_credentials_operator_s_actions_and_ends_of_sessions() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    for action in ["password", "2fa", "disable", "expire", "sessions"] {
        let name = format!("michel.{action}");
        let mut michel = app.chosen_account(&name).await;
        let session = michel.log_in_by_steps().await.ok().0["token"].as_str().unwrap().to_owned();
        let challenge = michel.challenge().await;
        let body = json!({ "username": name });
        match action {
            "password" => drop(app.call_as(&session, "generate-password", body).await.ok()),
            "2fa" => drop(app.call_as(&session, "generate-2fa", body).await.ok()),
            "sessions" => {
                drop(app.request_as(&session, http::Method::DELETE, "/function/session").await.ok());
            }
            action => drop(app.administer(&name, action).await.ok()),
        }
        let code = michel.fresh_code();
        app.complete_login(&name, &code, &challenge).await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn a_challenge_dies_on_lockout_also_when_the_lock_is_over() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    app.begin_login("michel.ranu", "wrong").await.problem(401, "invalid_credentials");
    let challenge = michel.challenge().await;
    let wrong = wrong_code(&michel, &app);
    for _ in 0..4 {
        app.complete_login("michel.ranu", wrong, &challenge).await.problem(401, "invalid_credentials");
    }
    let code = michel.fresh_code();
    app.complete_login("michel.ranu", &code, &challenge).await.problem(429, "too_many_attempts");
    app.clock.advance(30);
    let code = michel.fresh_code();
    app.complete_login("michel.ranu", &code, &challenge).await.problem(401, "invalid_credentials");
    assert_eq!(app.database.count("SELECT otp_failures FROM users_v2").await, 4);
}

#[tokio::test]
async fn a_challenge_that_enrols_dies_on_lockout_too() {
    let app = TestApp::start().await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let begun = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    for _ in 0..5 {
        app.begin_login("michel.ranu", "wrong").await.problem(401, "invalid_credentials");
    }
    app.clock.advance(31);
    let body = json!({ "username": "michel.ranu", "challenge": begun["challenge"] });
    app.call("generate-2fa", body).await.problem(403, "proof_required");
}

#[tokio::test]
async fn strangers_who_lock_the_name_from_elsewhere_do_not_end_its_owner_s_challenge() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let call = async |from: &'static str, function: &'static str, body| app.call_from(from, function, body).await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let credentials = json!({ "username": "michel.ranu", "password": CHOSEN_PASSWORD });
    for round in 0..2 {
        let begun = call("203.0.113.1", "authentication", credentials.clone()).await.ok().0;
        if round == 1 {
            let wrong = json!({ "username": "michel.ranu", "password": "wrong" });
            for _ in 0..5 {
                call("203.0.113.9", "authentication", wrong.clone()).await.problem(401, "invalid_credentials");
            }
            call("203.0.113.9", "authentication", credentials.clone()).await.problem(429, "too_many_attempts");
        }
        let code = michel.fresh_code();
        let body = json!({ "username": "michel.ranu", "token": code, "challenge": begun["challenge"] });
        call("203.0.113.1", "verify-2fa", body).await.ok();
    }
}

#[tokio::test]
async fn every_refusal_looks_the_same_with_and_without_a_challenge() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let mut disabled = app.chosen_account("disabled").await;
    app.create_account("unenrolled", CHOSEN_PASSWORD).await.ok();
    let (challenge, of_disabled) = (michel.challenge().await, disabled.challenge().await);
    app.administer("disabled", "disable").await.ok();
    let used = michel.fresh_code();
    app.verify_code("michel.ranu", &used).await.ok();
    let (code, of_the_disabled) = (michel.fresh_code(), disabled.fresh_code());
    let wrong = wrong_code(&michel, &app);

    let unknown = app.verify_code("nobody", &code).await;
    assert_eq!(unknown.problem(401, "invalid_credentials")["error"], "❌ Invalid token");
    for (name, code) in [
        ("michel.ranu", wrong),
        ("michel.ranu", used.as_str()),
        ("michel.ranu", "12345"),
        ("disabled", of_the_disabled.as_str()),
        ("unenrolled", code.as_str()),
    ] {
        assert_eq!(app.verify_code(name, code).await.visible(), unknown.visible(), "{name} {code}");
    }
    for (name, code, challenge) in [
        ("nobody", code.as_str(), challenge.as_str()),
        ("michel.ranu", wrong, &challenge),
        ("michel.ranu", used.as_str(), &challenge),
        ("michel.ranu", code.as_str(), &of_disabled),
        ("michel.ranu", code.as_str(), ""),
        ("michel.ranu", code.as_str(), "nonsense"),
        ("disabled", of_the_disabled.as_str(), &of_disabled),
    ] {
        let answer = app.complete_login(name, code, challenge).await;
        assert_eq!(answer.visible(), unknown.visible(), "{name} {code} {challenge}");
    }
    app.complete_login("michel.ranu", &code, &challenge).await.ok();
}

#[tokio::test]
async fn a_renewal_ticket_a_session_or_another_s_challenge_is_no_challenge() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let eve = app.chosen_account("eve").await;
    let session = michel.log_in_by_steps().await.ok().0["token"].as_str().unwrap().to_owned();
    for challenge in [session, eve.challenge().await] {
        let code = michel.fresh_code();
        app.complete_login("michel.ranu", &code, &challenge).await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn a_challenge_stands_on_every_counter_of_the_account() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let ticket = LoginTokenClaims {
        user_id: app.database.count("SELECT id::bigint FROM users_v2").await,
        expires_at: app.clock.now() + 300,
        login_counter: 0,
        security_counter: app.database.count("SELECT security_counter FROM users_v2").await,
        credential_versions: [1, 1],
        identity: app.identity("michel.ranu").await,
    };
    let sign = |ticket| app.token_keys().sign_login_token(TokenPurpose::Challenge, &ticket);
    for other in [
        LoginTokenClaims { credential_versions: [0, 1], ..ticket },
        LoginTokenClaims { credential_versions: [1, 0], ..ticket },
        LoginTokenClaims { credential_versions: [0, 0], ..ticket },
        LoginTokenClaims { login_counter: 1, ..ticket },
        LoginTokenClaims { security_counter: ticket.security_counter + 1, ..ticket },
        LoginTokenClaims { user_id: ticket.user_id + 1, ..ticket },
        LoginTokenClaims { identity: [0; 32], ..ticket },
        LoginTokenClaims { expires_at: app.clock.now(), ..ticket },
    ] {
        let code = michel.code_at(app.clock.now());
        app.complete_login("michel.ranu", &code, &sign(other)).await.problem(401, "invalid_credentials");
    }
    let code = michel.fresh_code();
    app.complete_login("michel.ranu", &code, &sign(ticket)).await.ok();
}

#[tokio::test]
async fn the_right_code_of_a_disabled_account_is_used_up_all_the_same() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    app.administer("michel.ranu", "disable").await.ok();
    let code = michel.fresh_code();
    app.verify_code("michel.ranu", &code).await.problem(401, "invalid_credentials");
    app.administer("michel.ranu", "enable").await.ok();
    app.verify_code("michel.ranu", &code).await.problem(401, "invalid_credentials");
    let reasons =
        "SELECT string_agg(details ->> 'reason', ' ' ORDER BY id) FROM auth_logs_v2 WHERE action = 'code_verified'";
    assert_eq!(app.database.text(reasons).await, "account_disabled replayed_code");
}

#[tokio::test]
async fn wrong_codes_behind_a_challenge_count_for_the_operator_s_lock_and_those_alone_do_not() {
    let app = TestApp::start_with(Settings::without_limits().and("otp_failures_limit", "3")).await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let wrong = wrong_code(&michel, &app);
    for _ in 0..5 {
        app.verify_code("michel.ranu", wrong).await.problem(401, "invalid_credentials");
    }
    let challenge = michel.challenge().await;
    for _ in 0..3 {
        app.complete_login("michel.ranu", wrong, &challenge).await.problem(401, "invalid_credentials");
    }
    let code = michel.fresh_code();
    app.complete_login("michel.ranu", &code, &challenge).await.problem(429, "too_many_attempts");
    app.verify_code("michel.ranu", &code).await.problem(429, "too_many_attempts");
    app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.problem(429, "too_many_attempts");
    app.administer("michel.ranu", "unlock").await.ok();
    app.complete_login("michel.ranu", &code, &challenge).await.problem(401, "invalid_credentials");
    michel.log_in_by_steps().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_requests_with_one_code_one_succeeds_by_whatever_function() {
    let app = std::sync::Arc::new(TestApp::start_with(Settings::without_limits()).await);
    let mut michel = app.chosen_account("michel.ranu").await;
    for _ in 0..5 {
        let (challenge, code) = (michel.challenge().await, michel.fresh_code());
        let attempts: Vec<_> = (0..30)
            .map(|attempt| {
                let (app, challenge, code) = (std::sync::Arc::clone(&app), challenge.clone(), code.clone());
                tokio::spawn(async move {
                    match attempt % 2 {
                        0 => app.verify_code("michel.ranu", &code).await.status,
                        _ => app.complete_login("michel.ranu", &code, &challenge).await.status,
                    }
                })
            })
            .collect();
        let mut successes = 0;
        for attempt in attempts {
            successes += i32::from(attempt.await.unwrap() == 200);
        }
        assert_eq!(successes, 1);
    }
}

#[tokio::test]
async fn missing_names_and_codes_are_asked_for_in_the_contract_s_words() {
    let app = TestApp::start().await;
    for body in [json!({}), json!({ "username": "m" }), json!({ "token": "123456" })] {
        let problem = app.call("verify-2fa", body).await.problem(400, "missing_field");
        assert_eq!(problem["error"], "username and token are required");
    }
    let number = json!({ "username": "m", "token": 123_456 });
    assert!(app.call("verify-2fa", number).await.problem(400, "invalid_field")["error"].to_string().contains("token"));
}

#[tokio::test]
async fn a_right_challenge_without_a_second_factor_leads_to_enrolment() {
    let app = TestApp::start().await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let begun = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    let challenge = begun["challenge"].as_str().unwrap();
    app.complete_login("michel.ranu", "123456", challenge).await.problem(403, "mfa_enrollment_required");
}

#[tokio::test]
async fn under_legacy_two_steps_give_no_session() {
    let app = TestApp::start_with(Settings::variable("policy", "legacy")).await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let login = michel.log_in_by_steps().await.ok().0;
    assert_eq!(login, json!({ "message": "✅ Token is valid" }));
}
