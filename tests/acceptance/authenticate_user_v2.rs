//! `POST /function/authenticate-user-v2`: what a caller can rely on.

use cofrap_tests::{MAX_AGE, Person, STEP, Settings, TestApp, now_at_start};
use serde_json::{Value, json};

#[tokio::test]
async fn a_complete_login_answers_as_the_specification_says_and_activates_the_account() {
    let app = TestApp::start().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    let id = app.database.count("SELECT id::bigint FROM users_v2").await;
    let mut answer = michel.log_in().await.ok().0;
    assert!(answer["token"].take().is_string());
    let expected = json!({
        "success": true, "second_factor": "current", "username": "michel.ranu", "message": "Authentification réussie", "user_id": id,
        "token": null, "token_type": "Bearer", "expires_in": 1800,
    });
    assert_eq!(answer, expected);
    assert_eq!(app.database.text("SELECT state FROM users_v2").await, "active");
}

#[tokio::test]
async fn every_refusal_looks_the_same() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.active_account("michel.ranu").await;
    let (password, used) = (michel.password.clone(), michel.code_at(app.clock.now()));
    let code = michel.fresh_code();
    let wrong_code = if code == "000000" { "000001" } else { "000000" };

    let unknown = app.authenticate("nobody", &password, code.as_str()).await;
    assert_eq!(unknown.problem(401, "invalid_credentials")["error"], "Mot de passe incorrect");
    for refused in [
        app.authenticate("michel.ranu", "wrong", code.as_str()).await,
        app.authenticate("MICHEL.RANU", &password, code.as_str()).await,
        app.authenticate("michel.ranu", &password, wrong_code).await,
        app.authenticate("michel.ranu", &password, used.as_str()).await,
        app.authenticate("michel.ranu", &password, Value::Null).await,
        app.authenticate("michel.ranu", &password, "").await,
        app.call("authenticate-user-v2", json!({ "username": "michel.ranu", "password": password })).await,
    ] {
        assert_eq!(refused.visible(), unknown.visible());
    }
    app.authenticate("michel.ranu", &password, code).await.ok();
}

#[tokio::test]
async fn only_six_ascii_digits_in_a_string_are_a_code() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let michel = app.provisional_account("michel.ranu").await;
    let code = michel.code_at(app.clock.now());
    let full_width: String =
        code.chars().map(|c| char::from_u32(u32::from(c) - u32::from('0') + 0xff10).unwrap()).collect();
    for text in [
        &code[..5],
        &format!("+{}", &code[1..]),
        &full_width,
        &format!("{code} "),
        &format!(" {code}"),
        &format!("{code}0"),
    ] {
        app.authenticate("michel.ranu", &michel.password, text).await.problem(403, "mfa_enrollment_required");
    }
    for other in [json!(123_456), json!(true), json!([code]), json!({})] {
        let problem = app.authenticate("michel.ranu", &michel.password, other).await.problem(400, "invalid_field");
        assert!(problem["error"].as_str().unwrap().contains("2FA_code"), "{problem}");
    }
    app.authenticate("michel.ranu", &michel.password, code).await.ok();
}

#[tokio::test]
async fn leading_zeros_count() {
    let app = TestApp::start().await;
    let michel = app.provisional_account("michel.ranu").await;
    let zero =
        (0..1000).map(|step| app.clock.now() + step * STEP).find(|at| michel.code_at(*at).starts_with('0')).unwrap();
    app.clock.advance(zero - app.clock.now());
    let code = michel.code_at(zero);
    app.authenticate("michel.ranu", &michel.password, &code[1..]).await.problem(403, "mfa_enrollment_required");
    app.authenticate("michel.ranu", &michel.password, code).await.ok();
}

#[tokio::test]
async fn codes_of_the_steps_around_are_taken_and_no_others() {
    let app = TestApp::start().await;
    for (offset, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
        let name = format!("michel{offset}");
        let michel = app.provisional_account(&name).await;
        let code = michel.code_at(app.clock.now() + offset * STEP);
        let answer = app.authenticate(&name, &michel.password, code).await;
        assert_eq!(answer.status == 200, taken, "offset {offset}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_parallel_requests_with_one_code_one_succeeds() {
    let app = std::sync::Arc::new(TestApp::start_with(Settings::without_limits()).await);
    for round in 0..20 {
        let name = format!("michel.{round}");
        let michel = app.provisional_account(&name).await;
        let (password, code) = (michel.password.clone(), michel.code_at(app.clock.now()));
        let attempts: Vec<_> = (0..50)
            .map(|_| {
                let (app, name, password, code) = (app.clone(), name.clone(), password.clone(), code.clone());
                tokio::spawn(async move { app.authenticate(&name, &password, code).await })
            })
            .collect();
        let mut successes = 0;
        for attempt in attempts {
            let answer = attempt.await.unwrap();
            if answer.status == 200 {
                successes += 1;
            } else {
                answer.problem(401, "invalid_credentials");
            }
        }
        assert_eq!(successes, 1, "round {round}");
        let rows =
            format!("SELECT count(*) FROM auth_logs_v2 WHERE action = 'login' AND details ->> 'username' = '{name}'");
        assert_eq!(app.database.count(&rows).await, 50);
    }
}

#[tokio::test]
async fn a_step_older_than_the_last_accepted_one_is_refused_also_after_the_secret_changed() {
    let app = TestApp::start().await;
    let michel = app.provisional_account("michel.ranu").await;
    let next = michel.code_at(app.clock.now() + STEP);
    app.authenticate("michel.ranu", &michel.password, next).await.ok();
    let current = michel.code_at(app.clock.now());
    app.authenticate("michel.ranu", &michel.password, current).await.problem(401, "invalid_credentials");

    let reset = "UPDATE users_v2 SET state = 'provisional', standing_binding = NULL";
    app.database.client.batch_execute(reset).await.unwrap();
    let renewed = app.provisional_account("michel.ranu").await;
    let current = renewed.code_at(app.clock.now());
    app.authenticate("michel.ranu", &renewed.password, current).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn the_right_password_without_a_second_factor_leads_to_enrolment_and_a_wrong_one_does_not() {
    let app = TestApp::start().await;
    let password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    let problem = app.authenticate("michel.ranu", &password, "123456").await.problem(403, "mfa_enrollment_required");
    assert_eq!(problem["error"], "Double authentification requise : générez le secret 2FA");
    app.authenticate("michel.ranu", "wrong", "123456").await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn credentials_expire_strictly_past_the_maximum_age() {
    let app = TestApp::start().await;
    for (age, expired) in [(MAX_AGE - 1, false), (MAX_AGE, false), (MAX_AGE + 1, true)] {
        for column in ["gendate", "mfa_gendate"] {
            let name = format!("michel.{column}.{age}");
            let mut michel = app.provisional_account(&name).await;
            let code = michel.fresh_code();
            let born = app.clock.now() - age;
            let update = format!("UPDATE users_v2 SET {column} = {born} WHERE username = '{name}'");
            app.database.client.batch_execute(&update).await.unwrap();
            let answer = app.authenticate(&name, &michel.password, code).await;
            assert_eq!(answer.status, if expired { 403 } else { 200 }, "{name}");
        }
    }
}

#[tokio::test]
async fn an_expired_login_says_what_to_do_and_marks_the_account() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let mut answer = michel.log_in().await.problem(403, "password_expired");
    assert!(answer["renewal_token"].take().is_string());
    let expected = json!({
        "error": "Mot de passe expiré", "code": "password_expired", "password_expired": true,
        "message": "Le mot de passe a plus de 6 mois. Veuillez relancer le processus de génération.",
        "renewal_token": null, "renewal_expires_in": 900, "renewal_due": ["password", "second_factor"],
    });
    assert_eq!(answer, expected);
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE expired").await, 1);
    assert_eq!(app.database.count("SELECT count(*) FROM password_history_v2 WHERE expired").await, 1);
}

#[tokio::test]
async fn expiry_is_only_said_after_both_factors_are_right() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let code = michel.fresh_code();
    app.authenticate("michel.ranu", "wrong", code.as_str()).await.problem(401, "invalid_credentials");
    app.authenticate("michel.ranu", &michel.password, Value::Null).await.problem(401, "invalid_credentials");
    app.authenticate("michel.ranu", &michel.password, code.as_str()).await.problem(403, "password_expired");
    app.authenticate("michel.ranu", &michel.password, code).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn an_operator_s_mark_holds_whatever_the_age() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.database.client.batch_execute("UPDATE users_v2 SET expired = TRUE").await.unwrap();
    michel.log_in().await.problem(403, "password_expired");
}

#[tokio::test]
async fn a_row_that_another_program_s_fernet_wrote_logs_in() {
    let app = TestApp::start().await;
    let (password, secret) = ("motdepasse123", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP");
    let seal = |clear: &str| app.fernet(clear);
    let insert = "INSERT INTO users_v2 (username, password, mfa, gendate) VALUES ('michel.ranu', $1, $2, $3)";
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&seal(password), &seal(secret), &now_at_start()];
    app.database.client.execute(insert, &row).await.unwrap();
    let uri = format!("otpauth://totp/x:y?secret={secret}&issuer=x");
    let michel = Person::new(&app, "michel.ranu", password.to_owned(), &uri);
    app.authenticate("michel.ranu", password, michel.code_at(app.clock.now())).await.ok();
}

#[tokio::test]
async fn an_altered_row_fails_closed_with_the_ordinary_refusal() {
    let app = TestApp::start().await;
    for column in ["password", "mfa"] {
        let mut michel = app.active_account(&format!("michel.{column}")).await;
        let flip = format!(
            "UPDATE users_v2 SET {column} = overlay({column} PLACING
                 CASE substr({column}, 50, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 50)
             WHERE username = 'michel.{column}'"
        );
        app.database.client.batch_execute(&flip).await.unwrap();
        michel.log_in().await.problem(401, "invalid_credentials");
    }
    let reasons = "SELECT count(*) FROM auth_logs_v2 WHERE details ->> 'reason' = 'unreadable_secret'";
    assert_eq!(app.database.count(reasons).await, 2);
}

#[tokio::test]
async fn an_empty_second_factor_is_none() {
    let app = TestApp::start().await;
    let password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    app.database.client.batch_execute("UPDATE users_v2 SET mfa = ''").await.unwrap();
    app.authenticate("michel.ranu", &password, "123456").await.problem(403, "mfa_enrollment_required");
    app.generate_mfa("michel.ranu").await.ok();
}

#[tokio::test]
async fn missing_names_and_passwords_are_asked_for_in_the_specification_s_words() {
    let app = TestApp::start().await;
    for body in
        [json!({}), json!({ "username": "m" }), json!({ "password": "p" }), json!({ "username": "", "password": "p" })]
    {
        let problem = app.call("authenticate-user-v2", body).await.problem(400, "missing_field");
        assert_eq!(problem["error"], "username et password sont requis");
    }
}

#[tokio::test]
async fn a_password_has_at_most_100_characters_and_is_not_trimmed() {
    let app = TestApp::start().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    let long = "é".repeat(101);
    let problem = app.authenticate("michel.ranu", &long, "123456").await.problem(400, "invalid_field");
    assert!(problem["error"].as_str().unwrap().contains("password"), "{problem}");
    app.authenticate("michel.ranu", &long[2..], "123456").await.problem(401, "invalid_credentials");
    let (padded, code) = (format!("{} ", michel.password), michel.fresh_code());
    app.authenticate("michel.ranu", &padded, code.as_str()).await.problem(401, "invalid_credentials");
    app.authenticate("michel.ranu", &michel.password, code).await.ok();
}
