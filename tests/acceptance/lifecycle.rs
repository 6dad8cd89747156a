//! An account's life: provisional, active, expired, renewed, disabled beside it; and who may replace its credentials.

use cofrap_crypto::{LoginTokenClaims, TokenPurpose};
use cofrap_tests::{ADMIN_TOKEN, Answer, MAX_AGE, Person, Settings, TestApp};
use serde_json::{Value, json};

const GENERATORS: [&str; 2] = ["generate-password-v2", "generate-2fa-v2"];

/// What a generation would change.
async fn credentials(app: &TestApp, name: &str) -> String {
    let columns = "concat_ws(' ', password, mfa, pending_mfa, gendate, state, password_generation, mfa_generation)";
    app.database.text(&format!("SELECT {columns} FROM users_v2 WHERE username = '{name}'")).await
}

async fn renewal_token(michel: &mut Person<'_>) -> String {
    let problem = michel.log_in().await.problem(403, "password_expired");
    problem["renewal_token"].as_str().unwrap().to_owned()
}

/// Lets the account grow too old, renews both factors with one token in that order, and logs in with them.
async fn renew_both(app: &TestApp, person: &mut Person<'_>, order: [&str; 2]) {
    app.clock.advance(MAX_AGE + 1);
    let body = json!({ "username": person.username, "renewal_token": renewal_token(person).await });
    for function in order {
        let read = app.call(function, body.clone()).await.ok().read_qr_code();
        if function == "generate-2fa-v2" { person.scan(&read) } else { person.password = read }
    }
    app.clock.advance(30);
    person.log_in().await.ok();
}

fn uri(answer: Answer) -> String {
    answer.ok().read_qr_code()
}

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

async fn wait_for_lock(app: &TestApp) {
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

#[tokio::test]
async fn an_expired_account_renews_both_factors_with_the_token_that_its_last_login_gave() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let token = renewal_token(&mut michel).await;
    let body = json!({ "username": "michel.ranu", "renewal_token": token });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    // The old second factor is still too old.
    let second = renewal_token(&mut michel).await;
    app.call("generate-2fa-v2", body.clone()).await.problem(403, "proof_required");
    let body = json!({ "username": "michel.ranu", "renewal_token": second });
    michel.scan(&uri(app.call("generate-2fa-v2", body.clone()).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
    app.call("generate-password-v2", body).await.problem(403, "proof_required");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE expired").await, 0);
    app.clock.advance(MAX_AGE - 3600);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn one_renewal_token_works_for_both_generators_in_either_order() {
    let app = TestApp::start().await;
    for order in [["generate-password-v2", "generate-2fa-v2"], ["generate-2fa-v2", "generate-password-v2"]] {
        let name = order[0];
        let mut michel = app.active_account(name).await;
        renew_both(&app, &mut michel, order).await;
    }
}

#[tokio::test]
async fn a_renewal_ends_with_the_password_when_the_second_factor_is_young() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE - 3600);
    let session = michel.session().await;
    michel.scan(&uri(app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
    app.clock.advance(3601);
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_renewal_token_lasts_15_minutes_and_the_next_one_ends_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let first = renewal_token(&mut michel).await;
    let second = renewal_token(&mut michel).await;
    let body = |token: &str| json!({ "username": "michel.ranu", "renewal_token": token });
    app.call("generate-password-v2", body(&first)).await.problem(403, "proof_required");
    app.clock.advance(899);
    app.call("generate-2fa-v2", body(&second)).await.ok();
    app.clock.advance(1);
    app.call("generate-2fa-v2", body(&second)).await.problem(403, "proof_required");
}

#[tokio::test]
async fn a_renewal_token_that_is_held_already_opens_a_lock_of_wrong_codes() {
    let app =
        TestApp::start_with(Settings::variable("account_failures_limit", "0").and("otp_failures_limit", "2")).await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let token = renewal_token(&mut michel).await;
    for _ in 0..2 {
        app.authenticate("michel.ranu", &michel.password, "00000").await.problem(401, "invalid_credentials");
    }
    michel.log_in().await.problem(429, "too_many_attempts");
    let body = json!({ "username": "michel.ranu", "renewal_token": token });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn an_operator_s_mark_holds_until_both_factors_are_born_after_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(60);
    app.administer("michel.ranu", "expire").await.ok();
    app.clock.advance(60);
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_mark_that_was_made_by_hand_holds_until_both_factors_are_new() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(60);
    app.database.client.batch_execute("UPDATE users_v2 SET expired = TRUE").await.unwrap();
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_second_factor_without_a_birth_keeps_the_age_of_the_password_that_it_came_with() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.database.client.batch_execute("UPDATE users_v2 SET mfa_gendate = NULL").await.unwrap();
    app.clock.advance(MAX_AGE + 1);
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    michel.log_in().await.problem(403, "password_expired");
}

/// A row that was there before the upgrade, without a second factor.
async fn taken_over<'a>(app: &'a TestApp, name: &str) -> Person<'a> {
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

#[tokio::test(flavor = "multi_thread")]
async fn two_parallel_renewals_leave_one_password_and_one_second_factor_that_belong_together() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    for round in 0..20 {
        let name = format!("michel.{round}");
        let mut michel = app.active_account(&name).await;
        app.database.client.batch_execute("UPDATE users_v2 SET gendate = 1, mfa_gendate = 1").await.unwrap();
        let body = json!({ "username": name, "renewal_token": renewal_token(&mut michel).await });
        let (one, other) = tokio::join!(
            app.call("generate-password-v2", body.clone()),
            app.call("generate-password-v2", body.clone())
        );
        let passwords = given(one, other);
        let (one, other) =
            tokio::join!(app.call("generate-2fa-v2", body.clone()), app.call("generate-2fa-v2", body.clone()));
        let uris = given(one, other);
        let mut works = 0;
        for (password, uri) in passwords.iter().flat_map(|password| uris.iter().map(move |uri| (password, uri))) {
            let mut person = michel.with_second_factor(uri);
            person.password.clone_from(password);
            app.clock.advance(60);
            works += usize::from(person.log_in().await.status == 200);
        }
        assert_eq!(works, 1, "round {round}");
    }
}

fn given(one: Answer, other: Answer) -> Vec<String> {
    let answers = [one, other].into_iter();
    let read = |answer: Answer| {
        if answer.status == 200 {
            return Some(answer.ok().read_qr_code());
        }
        answer.problem(409, "overtaken");
        None
    };
    answers.filter_map(read).collect()
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
async fn enrolling_a_second_factor_on_somebody_s_new_account_does_not_let_a_stranger_start_it_over() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let body = json!({ "username": "michel.ranu" });
    app.call_from("203.0.113.1", "generate-password-v2", body.clone()).await.ok();
    app.call_from("198.51.100.66", "generate-2fa-v2", body.clone()).await.ok();
    app.call_from("198.51.100.66", "generate-password-v2", body.clone()).await.problem(403, "proof_required");
    app.call_from("203.0.113.1", "generate-password-v2", body).await.ok();
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
async fn a_complete_renewal_ends_a_lock_of_strangers() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE - 3600);
    let session = michel.session().await;
    michel.scan(&uri(app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
    app.clock.advance(3601);
    let token = renewal_token(&mut michel).await;
    for _ in 0..5 {
        app.authenticate("michel.ranu", "wrong", Value::Null).await.problem(401, "invalid_credentials");
    }
    michel.log_in().await.problem(429, "too_many_attempts");
    let body = json!({ "username": "michel.ranu", "renewal_token": token });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_provisional_account_that_grew_too_old_renews_in_either_order() {
    let app = TestApp::start().await;
    for order in [["generate-password-v2", "generate-2fa-v2"], ["generate-2fa-v2", "generate-password-v2"]] {
        let name = order[0];
        let mut michel = app.provisional_account(name).await;
        renew_both(&app, &mut michel, order).await;
    }
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

#[tokio::test]
async fn an_account_that_was_marked_in_this_very_second_renews_in_it_too() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.administer("michel.ranu", "expire").await.ok();
    let code = michel.code_at(app.clock.now() + 30);
    let expired = app.authenticate("michel.ranu", &michel.password, code).await.problem(403, "password_expired");
    let body = json!({ "username": "michel.ranu", "renewal_token": expired["renewal_token"] });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(60);
    michel.log_in().await.ok();
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
