//! An account's life: provisional, active, expired, renewed, disabled beside it; and who may replace its credentials.

mod ownership;
mod renewal;

use cofrap_crypto::{LoginTokenClaims, TokenPurpose};
use cofrap_tests::{ADMIN_TOKEN, Answer, MAX_AGE, Person, Settings, TestApp};
use serde_json::{Value, json};

const GENERATORS: [&str; 2] = ["generate-password-v2", "generate-2fa-v2"];

/// What a generation would change.
pub(super) async fn credentials(app: &TestApp, name: &str) -> String {
    let columns = "concat_ws(' ', password, mfa, pending_mfa, gendate, state, password_generation, mfa_generation)";
    app.database.text(&format!("SELECT {columns} FROM users_v2 WHERE username = '{name}'")).await
}

pub(super) async fn renewal_token(michel: &mut Person<'_>) -> String {
    let problem = michel.log_in().await.problem(403, "password_expired");
    problem["renewal_token"].as_str().unwrap().to_owned()
}

/// Lets the account grow too old, renews both factors with one token in that order, and logs in with them.
pub(super) async fn renew_both(app: &TestApp, person: &mut Person<'_>, order: [&str; 2]) {
    app.clock.advance(MAX_AGE + 1);
    let body = json!({ "username": person.username, "renewal_token": renewal_token(person).await });
    for function in order {
        let read = app.call(function, body.clone()).await.ok().read_qr_code();
        if function == "generate-2fa-v2" { person.scan(&read) } else { person.password = read }
    }
    app.clock.advance(30);
    person.log_in().await.ok();
}

pub(super) fn uri(answer: Answer) -> String {
    answer.ok().read_qr_code()
}

#[tokio::test]
async fn without_proof_an_active_account_s_credentials_stay_whatever_is_shown() {
    let app = TestApp::start().await;
    let mut other = app.active_account("somebody.else").await;
    let (others, mut michel) = (other.session().await, app.active_account("michel.ranu").await);
    let old = michel.session().await;
    app.clock.advance(301);
    let before = credentials(&app, "michel.ranu").await;
    let keys = app.token_keys();
    let ticket = LoginTokenClaims {
        user_id: app.database.count("SELECT id::bigint FROM users_v2 WHERE username = 'michel.ranu'").await,
        expires_at: app.clock.now() + 60,
        login_counter: 2,
        security_counter: 1,
        credential_versions: [1, 1],
        identity: app.identity("michel.ranu").await,
    };
    let challenge = keys.sign_login_token(TokenPurpose::Challenge, &ticket);
    let forged_renewals = [
        keys.sign_login_token(
            TokenPurpose::Renewal,
            &LoginTokenClaims { login_counter: 1, credential_versions: [0, 0], ..ticket },
        ),
        keys.sign_login_token(
            TokenPurpose::Renewal,
            &LoginTokenClaims { security_counter: 0, credential_versions: [0, 0], ..ticket },
        ),
        keys.sign_login_token(
            TokenPurpose::Renewal,
            &LoginTokenClaims { user_id: ticket.user_id - 1, credential_versions: [0, 0], ..ticket },
        ),
        keys.sign_login_token(
            TokenPurpose::Renewal,
            &LoginTokenClaims { expires_at: app.clock.now(), credential_versions: [0, 0], ..ticket },
        ),
        challenge.clone(),
        old.clone(),
        String::new(),
    ];
    for function in GENERATORS {
        let body = json!({ "username": "michel.ranu" });
        app.call(function, body.clone()).await.problem(403, "proof_required");
        for bearer in [others.as_str(), old.as_str(), challenge.as_str(), "", "nonsense", "operator token"] {
            app.call_as(bearer, function, body.clone()).await.problem(403, "proof_required");
        }
        for token in &forged_renewals {
            let body = json!({ "username": "michel.ranu", "renewal_token": token });
            app.call(function, body).await.problem(403, "proof_required");
        }
        let body = json!({ "username": "michel.ranu", "challenge": challenge });
        app.call(function, body).await.problem(403, "proof_required");
    }
    assert_eq!(credentials(&app, "michel.ranu").await, before);
    let renewal =
        keys.sign_login_token(TokenPurpose::Renewal, &LoginTokenClaims { credential_versions: [0, 0], ..ticket });
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal });
    app.call("generate-password-v2", body).await.ok();
}

#[tokio::test]
async fn the_current_password_and_code_are_proof_and_the_code_is_used_up() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let body = michel.with_credentials();
    let password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    let mut replay = body;
    replay["password"] = json!(password);
    for function in ["authenticate-user-v2", "generate-password-v2", "generate-2fa-v2"] {
        app.call(function, replay.clone()).await.problem(401, "invalid_credentials");
    }
    michel.log_in().await.problem(401, "invalid_credentials");
    michel.password = password;
    michel.log_in().await.ok();
    let row = "SELECT concat_ws(' ', success, details ->> 'proof') FROM auth_logs_v2
               WHERE action = 'password_generated' ORDER BY id LIMIT 1 OFFSET 1";
    assert_eq!(app.database.text(row).await, "t credentials");
}

#[tokio::test]
async fn a_proof_that_is_wrong_is_a_failed_login() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let before = credentials(&app, "michel.ranu").await;
    let code = michel.fresh_code();
    for function in GENERATORS {
        for proof in [json!({ "password": "wrong", "2FA_code": code }), json!({ "password": michel.password })] {
            let mut body = json!({ "username": "michel.ranu" });
            body.as_object_mut().unwrap().extend(proof.as_object().unwrap().clone());
            let refused = app.call(function, body).await;
            assert_eq!(refused.visible(), app.authenticate("nobody", "x", Value::Null).await.visible());
        }
    }
    assert_eq!(credentials(&app, "michel.ranu").await, before);
    wait_for_lock(&app).await;
}

pub(super) async fn wait_for_lock(app: &TestApp) {
    app.authenticate("michel.ranu", "wrong", Value::Null).await.problem(401, "invalid_credentials");
    app.authenticate("michel.ranu", "wrong", Value::Null).await.problem(429, "too_many_attempts");
}

#[tokio::test]
async fn a_session_of_at_most_5_minutes_is_proof_also_after_its_renewal() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    for (age, status) in [(300, 200), (301, 403)] {
        let session = michel.session().await;
        app.clock.advance(100);
        let renewed = app.call_as(&session, "session", json!({})).await.ok().0["token"].as_str().unwrap().to_owned();
        app.clock.advance(age - 100);
        let answer = app.call_as(&renewed, "generate-password-v2", json!({ "username": "michel.ranu" })).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 200 {
            michel.password = answer.ok().read_qr_code();
        }
    }
}

#[tokio::test]
async fn a_new_password_leaves_the_second_factor_in_force_and_ends_every_session() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    michel.password =
        app.call_as(&session, "generate-password-v2", json!({ "username": "michel.ranu" })).await.ok().read_qr_code();
    app.session(&session).await.problem(401, "invalid_token");
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_new_second_factor_waits_beside_the_old_one_until_its_first_code() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let uri = uri(app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await);
    let kept = michel.session().await;
    app.session(&kept).await.ok();
    let mut renewed = michel.with_second_factor(&uri);
    app.clock.advance(30);
    let first = renewed.session().await;
    app.session(&kept).await.problem(401, "invalid_token");
    app.session(&first).await.ok();
    app.clock.advance(60);
    michel.log_in().await.problem(401, "invalid_credentials");
    app.clock.advance(60);
    renewed.log_in().await.ok();
}

#[tokio::test]
async fn a_step_that_was_used_with_one_secret_is_used_with_the_other_too() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let uri = uri(app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await);
    let renewed = michel.with_second_factor(&uri);
    let same_step = renewed.code_at(app.clock.now());
    app.authenticate("michel.ranu", &michel.password, same_step).await.problem(401, "invalid_credentials");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE pending_mfa IS NOT NULL").await, 1);
}

#[tokio::test]
async fn a_forgotten_pending_second_factor_is_dead_after_an_hour() {
    let app = TestApp::start().await;
    for (age, status) in [(3600, 200), (3601, 401)] {
        let name = format!("michel.{age}");
        let mut michel = app.active_account(&name).await;
        let session = michel.session().await;
        let uri = uri(app.call_as(&session, "generate-2fa-v2", json!({ "username": name })).await);
        app.clock.advance(age);
        let answer = michel.with_second_factor(&uri).log_in().await;
        assert_eq!(answer.status, status, "{age}");
    }
}

#[tokio::test]
async fn operator_actions_ends_of_sessions_and_new_passwords_drop_what_waits() {
    let app = TestApp::start().await;
    for how in ["enable", "end", "password"] {
        let name = format!("michel.{how}");
        let mut michel = app.active_account(&name).await;
        let session = michel.session().await;
        app.call_as(&session, "generate-2fa-v2", json!({ "username": name })).await.ok();
        match how {
            "enable" => drop(app.administer(&name, "enable").await.ok()),
            "end" => drop(app.request_as(&session, http::Method::DELETE, "/function/session").await.ok()),
            _ => drop(app.call_as(&session, "generate-password-v2", json!({ "username": name })).await.ok()),
        }
        assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE pending_mfa IS NOT NULL").await, 0, "{how}");
    }
}

/// A row that was there before the upgrade, without a second factor.
pub(super) async fn taken_over<'a>(app: &'a TestApp, name: &str) -> Person<'a> {
    let insert = "INSERT INTO users_v2 (username, password, gendate, state) VALUES ($1, $2, $3, 'active')";
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&name, &app.fernet("motdepasse123"), &app.clock.now()];
    app.database.client.execute(insert, &row).await.unwrap();
    Person::new(
        app,
        name,
        "motdepasse123".to_owned(),
        "otpauth://totp/x:y?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=x",
    )
}

#[tokio::test]
async fn an_active_account_without_a_second_factor_enrols_with_its_password_or_a_challenge_and_nothing_less() {
    let app = TestApp::start().await;
    let mut michel = taken_over(&app, "michel.ranu").await;
    app.authenticate("michel.ranu", "motdepasse123", "123456").await.problem(403, "mfa_enrollment_required");
    let bare = json!({ "username": "michel.ranu" });
    let password = json!({ "username": "michel.ranu", "password": "motdepasse123" });
    app.call("generate-2fa-v2", bare.clone()).await.problem(403, "proof_required");
    app.call("generate-password-v2", bare).await.problem(403, "proof_required");
    app.call("generate-password-v2", password.clone()).await.problem(403, "proof_required");
    let wrong = json!({ "username": "michel.ranu", "password": "wrong" });
    app.call("generate-2fa-v2", wrong).await.problem(401, "invalid_credentials");
    michel.scan(&uri(app.call("generate-2fa-v2", password.clone()).await));
    app.call("generate-2fa-v2", password).await.problem(401, "invalid_credentials");
    michel.log_in().await.ok();

    let mut other = taken_over(&app, "somebody.else").await;
    let known = "UPDATE users_v2 SET identity = repeat('ab', 16) WHERE username = 'somebody.else'";
    app.database.client.batch_execute(known).await.unwrap();
    let ticket = LoginTokenClaims {
        user_id: app.database.count("SELECT max(id)::bigint FROM users_v2").await,
        expires_at: app.clock.now() + 300,
        login_counter: 0,
        security_counter: 0,
        credential_versions: [0, 0],
        identity: app.identity("somebody.else").await,
    };
    let challenge = app.token_keys().sign_login_token(TokenPurpose::Challenge, &ticket);
    let body = json!({ "username": "somebody.else", "challenge": challenge });
    app.call("generate-password-v2", body.clone()).await.problem(403, "proof_required");
    other.scan(&uri(app.call("generate-2fa-v2", body.clone()).await));
    app.call("generate-2fa-v2", body).await.problem(403, "proof_required");
    other.log_in().await.ok();
}

#[tokio::test]
async fn a_reset_second_factor_may_be_enrolled_with_the_password_for_a_day() {
    let app = TestApp::start().await;
    for (age, status) in [(24 * 3600, 200), (24 * 3600 + 1, 403)] {
        let name = format!("michel.{age}");
        let mut michel = app.active_account(&name).await;
        let session = michel.session().await;
        app.administer(&name, "reset-2fa").await.ok();
        app.session(&session).await.problem(401, "invalid_token");
        app.clock.advance(age);
        app.generate_mfa(&name).await.problem(403, "proof_required");
        let body = json!({ "username": name, "password": michel.password });
        let answer = app.call("generate-2fa-v2", body).await;
        assert_eq!(answer.status, status, "{age}");
        if status == 200 {
            michel.scan(&uri(answer));
            michel.log_in().await.ok();
        }
    }
}

#[tokio::test]
async fn a_disabled_account_looks_like_a_wrong_password_but_to_who_has_proof() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    app.administer("michel.ranu", "disable").await.ok();
    let before = credentials(&app, "michel.ranu").await;
    let unknown = app.authenticate("nobody", "x", "000000").await;
    assert_eq!(michel.log_in().await.visible(), unknown.visible());
    app.session(&session).await.problem(401, "invalid_token");
    for function in GENERATORS {
        let bare = json!({ "username": "michel.ranu" });
        app.call(function, bare.clone()).await.problem(403, "proof_required");
        app.call_as(&session, function, bare.clone()).await.problem(403, "proof_required");
        app.call_as(ADMIN_TOKEN, function, bare).await.problem(403, "account_disabled");
        let wrong = json!({ "username": "michel.ranu", "password": "wrong", "2FA_code": "000000" });
        app.call(function, wrong).await.problem(401, "invalid_credentials");
        let right = michel.with_credentials();
        app.call(function, right).await.problem(403, "account_disabled");
    }
    assert_eq!(credentials(&app, "michel.ranu").await, before);
    app.administer("michel.ranu", "enable").await.ok();
    michel.log_in().await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_generation_and_a_login_at_once_the_outcome_is_one_of_two_orders() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    for round in 0..20 {
        let name = format!("michel.{round}");
        let mut michel = app.active_account(&name).await;
        let session = michel.session().await;
        let code = michel.fresh_code();
        let (login, generated) = tokio::join!(
            app.authenticate(&name, &michel.password, code),
            app.call_as(&session, "generate-password-v2", json!({ "username": name }))
        );
        if generated.status == 200 {
            michel.password = generated.ok().read_qr_code();
        } else {
            generated.problem(409, "overtaken");
            login.ok();
        }
        michel.log_in().await.ok();
    }
}

#[tokio::test]
async fn a_bearer_that_is_neither_the_operator_s_nor_a_session_is_refused_and_counted_where_none_is_needed_too() {
    let app = TestApp::start_with(Settings::variable("ip_failures_limit", "4")).await;
    app.generate_password("before").await.ok();
    for name in ["before", "somebody.new", "somebody.new", "before"] {
        app.call_as("wrong", "generate-password-v2", json!({ "username": name })).await.problem(403, "proof_required");
    }
    let body = json!({ "username": "somebody.new" });
    app.call_as(ADMIN_TOKEN, "generate-password-v2", body.clone()).await.problem(429, "too_many_attempts");
    app.call_as("wrong", "generate-password-v2", body).await.problem(429, "too_many_attempts");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 1);
}

#[tokio::test]
async fn a_code_that_was_right_for_a_disabled_account_is_used_up_all_the_same() {
    for function in ["generate-password-v2", "authenticate-user-v2"] {
        let app = TestApp::start().await;
        let mut michel = app.active_account("michel.ranu").await;
        app.administer("michel.ranu", "disable").await.ok();
        let body = michel.with_credentials();
        assert!(app.call(function, body.clone()).await.status >= 400);
        app.administer("michel.ranu", "enable").await.ok();
        app.call("authenticate-user-v2", body).await.problem(401, "invalid_credentials");
        michel.log_in().await.ok();
    }
}

#[tokio::test]
async fn a_row_that_another_program_adds_later_enrols_with_its_password() {
    let app = TestApp::start().await;
    let insert = "INSERT INTO users_v2 (username, password, gendate) VALUES ('michel.ranu', $1, $2)";
    app.database.client.execute(insert, &[&app.fernet("motdepasse123"), &app.clock.now()]).await.unwrap();
    app.generate_mfa("michel.ranu").await.problem(403, "proof_required");
    let body = json!({ "username": "michel.ranu", "password": "motdepasse123" });
    let uri = uri(app.call("generate-2fa-v2", body).await);
    Person::new(&app, "michel.ranu", "motdepasse123".to_owned(), &uri).log_in().await.ok();
}

#[tokio::test]
async fn a_session_that_was_given_before_is_no_proof_under_legacy() {
    let app = TestApp::start().await;
    let session = app.active_account("michel.ranu").await.session().await;
    app.administer("somebody.else", "unlock").await.problem(404, "unknown_user");
    app.database
        .client
        .batch_execute("UPDATE users_v2 SET operator_touched = TRUE, standing_binding = NULL")
        .await
        .unwrap();
    let app = app.restart_with(Settings::variable("policy", "legacy")).await;
    let body = json!({ "username": "michel.ranu" });
    app.call_as(&session, "generate-password-v2", body).await.problem(403, "proof_required");
}
