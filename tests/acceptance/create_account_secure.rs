//! `POST /function/create-account-secure`: what a caller can rely on.

use cofrap_tests::{ADMIN_TOKEN, Answer, CHOSEN_PASSWORD, Settings, TestApp};
use serde_json::{Value, json};

fn error(answer: &Answer, status: u16, code: &str) -> Value {
    answer.problem(status, code)["error"].clone()
}

#[tokio::test]
async fn the_account_is_provisional_and_its_password_a_bcrypt_hash_of_cost_12() {
    let app = TestApp::start().await;
    let body = json!({ "username": "michel.ranu", "password": CHOSEN_PASSWORD, "mfa": 42 });
    let answer = app.call("create-account-secure", body).await.ok().0;
    assert_eq!(answer, json!({ "status": "✅ User created securely" }));
    let row =
        "SELECT concat_ws(' ', username, state, origin, operator_touched, left(password, 7), length(password), mfa)
               FROM users_v2";
    assert_eq!(app.database.text(row).await, "michel.ranu provisional creation f $2b$12$ 60");
    assert_eq!(app.database.count("SELECT count(*) FROM password_history_v2 WHERE password LIKE '$2b$12$%'").await, 1);
    assert!(!app.database.dump().await.contains(CHOSEN_PASSWORD) && !app.log().contains(CHOSEN_PASSWORD));
    let audit = "SELECT concat_ws(' ', action, success, user_id IS NOT NULL) FROM auth_logs_v2";
    assert_eq!(app.database.text(audit).await, "account_created t t");
}

#[tokio::test]
async fn what_is_missing_too_long_or_weak_is_said_in_the_contract_s_words() {
    let app = TestApp::start().await;
    for body in [json!({}), json!({ "username": "m" }), json!({ "username": "", "password": "x" })] {
        let answer = app.call("create-account-secure", body).await;
        assert_eq!(error(&answer, 400, "missing_field"), "Username and password are required");
    }
    let long = format!("{CHOSEN_PASSWORD}{}", "x".repeat(60));
    for (name, password) in [
        ("m".repeat(51), CHOSEN_PASSWORD.to_owned()),
        ("m".repeat(151), CHOSEN_PASSWORD.to_owned()),
        ("m".to_owned(), long.clone()),
        ("m".to_owned(), "é".repeat(37)),
        ("m".to_owned(), "x".repeat(101)),
    ] {
        let answer = app.create_account(&name, &password).await;
        assert_eq!(error(&answer, 400, "invalid_field"), "Input too long", "{name} {password}");
    }
    let weak = app.create_account("michel.ranu", "P@ssw0rd1234").await.problem(400, "invalid_field");
    assert_eq!(weak["error"], "Password too weak");
    assert_eq!(weak["reasons"].as_array().unwrap().len(), 1);
    let weak = app.create_account("michel.ranu", "michel").await.problem(400, "invalid_field");
    assert_eq!(weak["reasons"].as_array().unwrap().len(), 5, "{weak}");
    let answer = app.create_account("michel.ranu", "Kalt-Regen-\0-42").await;
    assert!(error(&answer, 400, "invalid_field").as_str().unwrap().contains("password"));
    app.create_account(" m", CHOSEN_PASSWORD).await.problem(400, "invalid_field");
    assert_eq!(app.database.count("SELECT count(*) FROM auth_logs_v2").await, 0);

    app.create_account(&"m".repeat(50), &long[..72]).await.ok();
    app.begin_login(&"m".repeat(50), &long[..72]).await.ok();
    app.begin_login(&"m".repeat(50), &long[..71]).await.problem(401, "invalid_credentials");
    app.begin_login(&"m".repeat(50), &long[..73]).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_in_any_case_and_of_either_generation() {
    let app = TestApp::start().await;
    app.generate_password("second").await.ok();
    app.create_account("first", CHOSEN_PASSWORD).await.ok();
    for name in ["first", "FIRST", "second", "Second"] {
        let answer = app.create_account(name, CHOSEN_PASSWORD).await;
        assert_eq!(error(&answer, 409, "username_taken"), "⚠️ Username already exists", "{name}");
    }
    app.generate_password("FIRST").await.problem(409, "username_taken");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 2);
}

#[tokio::test]
async fn of_parallel_creations_of_one_name_one_succeeds() {
    let app = TestApp::start().await;
    let create = |password: &'static str| app.create_account("michel.ranu", password);
    let (one, other) = tokio::join!(create("Kalt-Regen-42"), create("Warm-Sonne-43"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(app.database.count("SELECT count(*) FROM password_history_v2").await, 1);
}

#[tokio::test]
async fn where_the_operator_registers_nobody_else_creates_an_account() {
    let app = TestApp::start_with(Settings::variable("registration", "operator")).await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.problem(403, "proof_required");
    let body = json!({ "username": "michel.ranu", "password": CHOSEN_PASSWORD });
    app.call_as("wrong token", "create-account-secure", body.clone()).await.problem(403, "proof_required");
    app.call_as(ADMIN_TOKEN, "create-account-secure", body.clone()).await.ok();
    // Nor is anybody told which names there are.
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.problem(403, "proof_required");
    assert_eq!(app.database.text("SELECT operator_touched::text FROM users_v2").await, "true");
}

#[tokio::test]
async fn nothing_is_hashed_for_an_address_that_failed_too_often_or_asked_for_too_much() {
    let app = TestApp::start_with(Settings::variable("ip_generations_limit", "2").and("ip_failures_limit", "2")).await;
    app.create_account("one", CHOSEN_PASSWORD).await.ok();
    app.create_account("one", CHOSEN_PASSWORD).await.problem(409, "username_taken");
    app.create_account("two", CHOSEN_PASSWORD).await.problem(429, "too_many_attempts");
    app.generate_password("two").await.problem(429, "too_many_attempts");
    app.clock.advance(3600);
    for _ in 0..2 {
        app.authenticate("one", "wrong", "000000").await.problem(401, "invalid_credentials");
    }
    app.create_account("two", CHOSEN_PASSWORD).await.problem(429, "too_many_attempts");
    for function in ["create-account-secure", "generate-password-v2"] {
        let body = json!({ "username": "two", "password": CHOSEN_PASSWORD });
        app.call_as(ADMIN_TOKEN, function, body).await.problem(429, "too_many_attempts");
    }
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 1);
}

#[tokio::test]
async fn the_account_is_open_to_who_knows_its_password_and_to_nobody_else() {
    let app = TestApp::start().await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let before = app.database.text("SELECT concat_ws(' ', password, mfa, mfa_generation) FROM users_v2").await;
    for function in ["generate-password-v2", "generate-2fa-v2", "generate-password", "generate-2fa"] {
        let body = |password| json!({ "username": "michel.ranu", "password": password });
        app.call(function, json!({ "username": "michel.ranu" })).await.problem(403, "proof_required");
        app.call(function, body("wrong")).await.problem(401, "invalid_credentials");
        app.call_as("nonsense", function, json!({ "username": "michel.ranu" })).await.problem(403, "proof_required");
        app.clock.advance(900);
    }
    let hash = app.database.text("SELECT password::text FROM users_v2").await;
    app.begin_login("michel.ranu", &hash).await.problem(401, "invalid_credentials");
    assert_eq!(app.database.text("SELECT concat_ws(' ', password, mfa, mfa_generation) FROM users_v2").await, before);
    app.administer("michel.ranu", "unlock").await.ok();
    let body = json!({ "username": "michel.ranu", "password": CHOSEN_PASSWORD });
    // What the operator touched is theirs.
    app.call("generate-password", body).await.problem(403, "proof_required");
}

#[tokio::test]
async fn until_the_first_login_its_password_alone_replaces_both_credentials_and_then_no_more() {
    let app = TestApp::start().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    let body = |password: &str| json!({ "username": "michel.ranu", "password": password });
    // The QR code was lost.
    michel.scan(&app.call("generate-2fa-v2", body(CHOSEN_PASSWORD)).await.ok().read_qr_code());
    let changed = app.call("generate-password", body(CHOSEN_PASSWORD)).await.ok().0;
    michel.password = changed["password"].as_str().unwrap().to_owned();
    let mut wrong = body(&michel.password);
    wrong["2FA_code"] = json!("000000");
    app.call("generate-2fa", wrong).await.problem(401, "invalid_credentials");
    michel.log_in().await.ok();
    for function in ["generate-password", "generate-2fa", "generate-password-v2", "generate-2fa-v2"] {
        app.call(function, body(&michel.password)).await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn where_the_operator_registers_a_created_account_that_nobody_proved_is_theirs() {
    let app = TestApp::start().await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let app = app.restart_with(Settings::variable("registration", "operator")).await;
    let body = json!({ "username": "michel.ranu", "password": CHOSEN_PASSWORD });
    for function in ["generate-password", "generate-2fa", "generate-password-v2", "generate-2fa-v2"] {
        app.call(function, body.clone()).await.problem(403, "proof_required");
    }
    app.call_as(ADMIN_TOKEN, "generate-2fa", json!({ "username": "michel.ranu" })).await.ok();
}
