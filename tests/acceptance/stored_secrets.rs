//! What is stored: bound to its row and column, never in clear, and nowhere else.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cofrap_tests::{ADMIN_TOKEN, CHOSEN_PASSWORD, KEY, MAX_AGE, Settings, TestApp};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_ciphertext_that_was_copied_to_another_row_or_column_does_not_authenticate() {
    for unbound in ["true", "false"] {
        let app = TestApp::start_with(Settings::without_limits().and("accept_unbound_rows", unbound)).await;
        let mut michel = app.active_account("michel.ranu").await;
        let mut eve = app.active_account("eve").await;
        let copy = "UPDATE users_v2 v SET password = e.password, password_key = e.password_key, password_binding = e.password_binding
                    FROM users_v2 e WHERE v.username = 'michel.ranu' AND e.username = 'eve'";
        app.database.client.batch_execute(copy).await.unwrap();
        let code = michel.fresh_code();
        app.authenticate("michel.ranu", &eve.password, code).await.problem(401, "invalid_credentials");
        eve.log_in().await.ok();
        let column = "UPDATE users_v2 SET mfa = password, mfa_binding = password_binding WHERE username = 'eve'";
        app.database.client.batch_execute(column).await.unwrap();
        eve.log_in().await.problem(401, "invalid_credentials");
        let old = "UPDATE users_v2 SET password = h.password, password_binding = h.password_binding
                   FROM password_history_v2 h WHERE h.user_id = users_v2.id AND username = 'michel.ranu'";
        app.database.client.batch_execute(old).await.unwrap();
        michel.log_in().await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn a_row_whose_standing_was_edited_in_the_database_does_not_authenticate() {
    let edits = [
        "state = 'provisional'",
        "origin = 'generation', state = 'provisional'",
        "username = 'somebody.else'",
        "operator_touched = FALSE, state = 'provisional'",
        "id = 4711",
    ];
    for edit in edits {
        let app = TestApp::start_with(Settings::without_limits().and("accept_unbound_rows", "false")).await;
        let mut michel = app.active_account("michel.ranu").await;
        if edit.contains("touched") {
            app.administer("michel.ranu", "unlock").await.ok();
        }
        let challenge = michel.challenge().await;
        if edit.contains("id = ") {
            app.database
                .client
                .batch_execute("DELETE FROM password_history_v2; DELETE FROM auth_logs_v2")
                .await
                .unwrap();
        }
        app.database.client.batch_execute(&format!("UPDATE users_v2 SET {edit}")).await.unwrap();
        if edit.contains("username") {
            michel.username = "somebody.else".to_owned();
        }
        app.begin_login(&michel.username, &michel.password).await.problem(401, "invalid_credentials");
        let code = michel.fresh_code();
        app.verify_code(&michel.username, &code).await.problem(401, "invalid_credentials");
        app.complete_login(&michel.username, &code, &challenge).await.problem(401, "invalid_credentials");
        michel.log_in().await.problem(401, "invalid_credentials");
        app.generate_password(&michel.username).await.problem(403, "proof_required");
        app.generate_mfa(&michel.username).await.problem(403, "proof_required");
        let reason = "SELECT details ->> 'reason' FROM auth_logs_v2 ORDER BY id DESC LIMIT 1";
        assert_eq!(app.database.text(reason).await, "altered_row", "{edit}");
    }
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.active_account("michel.ranu").await;
    app.administer("michel.ranu", "disable").await.ok();
    app.database.client.batch_execute("UPDATE users_v2 SET disabled_at = NULL").await.unwrap();
    michel.log_in().await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn an_unbound_hash_opens_only_while_that_is_accepted() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let insert = "INSERT INTO users_v2 (username, password, gendate, state) VALUES ('michel.ranu', $1, $2, 'active')";
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&app.bcrypt("motdepasse123"), &app.clock.now()];
    app.database.client.execute(insert, &row).await.unwrap();
    app.begin_login("michel.ranu", "motdepasse123").await.ok();
    // Its standing alone is bound.
    app.administer("michel.ranu", "unlock").await.ok();
    let app = app.restart_with(Settings::without_limits().and("accept_unbound_rows", "false")).await;
    app.begin_login("michel.ranu", "motdepasse123").await.problem(401, "invalid_credentials");
    let reason = "SELECT details ->> 'reason' FROM auth_logs_v2 ORDER BY id DESC LIMIT 1";
    assert_eq!(app.database.text(reason).await, "unreadable_secret");
}

#[tokio::test]
async fn a_challenge_enrols_nobody_whose_row_was_altered() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    app.create_account("michel.ranu", CHOSEN_PASSWORD).await.ok();
    let begun = app.begin_login("michel.ranu", CHOSEN_PASSWORD).await.ok().0;
    app.database.client.batch_execute("UPDATE users_v2 SET origin = 'external'").await.unwrap();
    let body = json!({ "username": "michel.ranu", "challenge": begun["challenge"] });
    app.call("generate-2fa", body).await.problem(403, "proof_required");
}

#[tokio::test]
async fn rows_of_other_programs_open_while_that_is_accepted_and_are_bound_at_the_next_login() {
    let app = TestApp::start().await;
    let insert = "INSERT INTO users_v2 (username, password, mfa, gendate, state) VALUES ($1, $2, $3, $4, 'active')";
    let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    for name in ["used", "unused"] {
        let row: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&name, &app.fernet("motdepasse123"), &app.fernet(secret), &app.clock.now()];
        app.database.client.execute(insert, &row).await.unwrap();
    }
    let uri = format!("otpauth://totp/x:y?secret={secret}&issuer=x");
    let used = cofrap_tests::Person::new(&app, "used", "motdepasse123".to_owned(), &uri);
    app.authenticate("used", "motdepasse123", used.code_at(app.clock.now())).await.ok();
    let (one, later) = (used.code_at(app.clock.now()), used.code_at(app.clock.now() + 30));
    let app = app.restart_with(Settings::variable("accept_unbound_rows", "false")).await;
    app.authenticate("unused", "motdepasse123", one).await.problem(401, "invalid_credentials");
    app.authenticate("used", "motdepasse123", later).await.ok();
}

/// Everything secret that a journey produces, in the forms in which it could leak.
struct Canaries(Vec<String>);

impl Canaries {
    fn add(&mut self, secret: &str) {
        let encoded =
            percent_encoding::percent_encode(secret.as_bytes(), percent_encoding::NON_ALPHANUMERIC).to_string();
        self.0.extend([secret.to_owned(), STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret), encoded]);
    }

    #[track_caller]
    fn check(&self, place: &str, text: &str) {
        for canary in &self.0 {
            assert!(!text.contains(canary.as_str()), "{place} shows {canary}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_a_log_an_audit_row_an_error_body_or_a_dump() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut canaries = Canaries(Vec::new());
    canaries.add(&KEY);
    canaries.add(ADMIN_TOKEN);
    let mut michel = app.active_account("michel.ranu").await;
    canaries.add(&michel.password.clone());
    let session = michel.session().await;
    canaries.add(&session);
    let uri = app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await.ok().read_qr_code();
    canaries.add(uri.split("secret=").nth(1).unwrap().split('&').next().unwrap());
    app.clock.advance(MAX_AGE + 1);
    let expired = michel.log_in().await.problem(403, "password_expired");
    let renewal = expired["renewal_token"].as_str().unwrap().to_owned();
    canaries.add(&renewal);
    canaries.add("canary of a wrong password");
    let mut eve = app.chosen_account("eve").await;
    let challenge = eve.challenge().await;
    canaries.add(CHOSEN_PASSWORD);
    canaries.add(&challenge);
    let session = eve.log_in_by_steps().await.ok().0["token"].as_str().unwrap().to_owned();
    let body = json!({ "username": "eve" });
    let given = app.call_as(&session, "generate-2fa", body.clone()).await.ok().0["secret"].as_str().unwrap().to_owned();
    canaries.add(&given);
    let given = app.call_as(&session, "generate-password", body).await.ok().0["password"].as_str().unwrap().to_owned();
    canaries.add(&given);

    let errors = [
        app.create_account("mallory", &format!("{CHOSEN_PASSWORD}{}", "x".repeat(80))).await,
        app.create_account("Kalt", CHOSEN_PASSWORD).await,
        app.begin_login("eve", CHOSEN_PASSWORD).await,
        app.complete_login("eve", "000000", &challenge).await,
        app.call("generate-2fa", json!({ "username": "eve", "challenge": challenge })).await,
        app.authenticate("michel.ranu", "canary of a wrong password", "123456").await,
        app.authenticate("michel.ranu", &format!("{}{}", michel.password, "x".repeat(90)), Value::Null).await,
        app.call("generate-2fa-v2", json!({ "username": "michel.ranu", "renewal_token": format!("{renewal}x") })).await,
        app.call_as(&session, "generate-password-v2", json!({ "username": "michel.ranu" })).await,
        app.call_as(&format!("{ADMIN_TOKEN}x"), "administer-account", json!({ "username": "m", "action": "x" })).await,
        app.request_as(&session, Method::GET, "/function/activity").await,
        app.post("/function/authenticate-user-v2", "application/json", format!("{{\"password\":\"{}", michel.password))
            .await,
    ];
    for answer in errors {
        assert!(answer.status >= 400, "{}", answer.body);
        canaries.check("an error", &answer.body);
    }
    app.database.client.batch_execute("ALTER TABLE auth_logs_v2 ADD CHECK (id < 0) NOT VALID").await.unwrap();
    let answer = app.call("generate-password-v2", json!({ "username": "michel.ranu", "renewal_token": renewal })).await;
    answer.problem(503, "unavailable");
    canaries.check("an error", &answer.body);
    canaries.check("the log", &app.log());
    canaries.check("the dump", &app.database.dump().await);
}

#[tokio::test]
async fn an_operator_s_action_does_not_vouch_for_an_altered_row() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.administer("michel.ranu", "disable").await.ok();
    app.database.client.batch_execute("UPDATE users_v2 SET disabled_at = NULL").await.unwrap();
    for action in ["unlock", "expire", "disable", "enable", "reset-2fa", "end-sessions"] {
        app.administer("michel.ranu", action).await.problem(409, "altered_account");
    }
    michel.log_in().await.problem(401, "invalid_credentials");
}
