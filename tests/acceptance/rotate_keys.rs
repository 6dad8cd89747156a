//! `POST /function/rotate-keys`, and what a list of keys means for what is stored.

use cofrap_tests::{ADMIN_TOKEN, KEY, Settings, TestApp};
use http::Method;
use serde_json::{Value, json};

const OTHER: &str = "b3RoZXIga2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3Q=";

/// Calls the function until nothing is left; what the batches answered.
async fn rotate(app: &TestApp) -> Vec<Value> {
    let (mut batches, mut body) = (Vec::new(), json!({}));
    loop {
        let batch = app.call_as(ADMIN_TOKEN, "rotate-keys", body).await.ok().0;
        let next = batch["next"].clone();
        batches.push(batch);
        if next.is_null() {
            return batches;
        }
        body = next;
    }
}

fn both() -> Settings {
    Settings::variable("encryption_key", &format!("{OTHER},{}", *KEY))
}

async fn sealed_under_the_first(app: &TestApp) -> i64 {
    let rows = "SELECT count(*) FROM users_v2 WHERE password_key = mfa_key AND password_key = standing_key
                AND password_key <> (SELECT id FROM encryption_keys ORDER BY registered_at, id LIMIT 1)";
    app.database.count(rows).await
}

#[tokio::test]
async fn rows_move_as_they_are_used_the_rotation_finishes_the_rest_and_then_the_first_key_is_enough() {
    let app = TestApp::start().await;
    for number in 0..120 {
        app.clock.advance(60);
        app.generate_password(&format!("provisional.{number}")).await.ok();
    }
    let michel = app.active_account("michel.ranu").await;
    let mut eve = app.active_account("eve").await;
    let waiting = eve.session().await;
    let uri = app.call_as(&waiting, "generate-2fa-v2", json!({ "username": "eve" })).await.ok().read_qr_code();
    let (michel_password, eve_password) = (michel.password.clone(), eve.password.clone());

    app.clock.advance(60);
    let app = app.restart_with(both()).await;
    app.authenticate("michel.ranu", &michel_password, michel.code_at(app.clock.now())).await.ok();
    assert_eq!(sealed_under_the_first(&app).await, 1);
    app.request(Method::GET, "/function/health").await.ok();

    let batches = rotate(&app).await;
    assert!(batches.len() > 3, "{batches:?}");
    let moved: i64 = batches.iter().map(|batch| batch["moved"].as_i64().unwrap()).sum();
    assert_eq!(moved, 121 + 122);
    assert!(batches.windows(2).all(|pair| pair[0]["rows_left"].as_i64() >= pair[1]["rows_left"].as_i64()));
    let last = batches.last().unwrap();
    assert_eq!((&last["rows_left"], &last["unreadable"]), (&json!(0), &json!([])));

    app.clock.advance(60);
    let app = app.restart_with(Settings::variable("encryption_key", OTHER).and("accept_unbound_rows", "false")).await;
    app.request(Method::GET, "/function/health").await.ok();
    app.authenticate("michel.ranu", &michel_password, michel.code_at(app.clock.now())).await.ok();
    let eve = eve.with_second_factor(&uri);
    app.authenticate("eve", &eve_password, eve.code_at(app.clock.now())).await.ok();
    app.generate_mfa("provisional.7").await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM password_history_v2 WHERE password_binding IS NULL").await, 0);
}

#[tokio::test]
async fn dropping_a_key_that_rows_still_need_is_refused() {
    let app = TestApp::start().await;
    let _ = app.active_account("michel.ranu").await;
    let app = app.restart_with(both()).await;
    app.generate_password("somebody.new").await.ok();
    let app = app.restart_with(Settings::variable("encryption_key", OTHER)).await;
    app.request(Method::GET, "/function/health").await.problem(503, "unavailable");
    app.generate_password("another").await.problem(503, "unavailable");
    app.call_as(ADMIN_TOKEN, "rotate-keys", json!({})).await.problem(503, "unavailable");
    // Functions that do not know the new key yet do not write beside it either.
    let app = app.restart_with(Settings::default()).await;
    app.generate_password("another").await.problem(503, "unavailable");
}

#[tokio::test]
async fn rows_of_other_programs_are_sealed_and_bound_too_and_what_no_key_opens_is_named_and_keeps_the_keys() {
    let app = TestApp::start().await;
    let insert = "INSERT INTO users_v2 (username, password, mfa, gendate, state) VALUES ($1, $2, $3, 0, 'active')";
    let (good, other) = (app.fernet("motdepasse123"), format!("gAAAAA{}", "x".repeat(120)));
    app.database
        .client
        .execute(insert, &[&"good", &good, &app.fernet("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")])
        .await
        .unwrap();
    app.database.client.execute(insert, &[&"lost", &other, &None::<String>]).await.unwrap();
    app.generate_password("ours").await.ok();
    let app = app.restart_with(both()).await;
    let batches = rotate(&app).await;
    let lost = app.database.count("SELECT id::bigint FROM users_v2 WHERE username = 'lost'").await;
    assert_eq!(batches[0]["unreadable"], json!([format!("users_v2:{lost}")]));
    assert_eq!(batches.last().unwrap()["rows_left"], 1);
    let bound = "SELECT string_agg(username, ' ' ORDER BY id) FROM users_v2 WHERE password_binding IS NOT NULL AND standing_binding IS NOT NULL";
    assert_eq!(app.database.text(bound).await, "good ours");
    assert_eq!(app.database.count("SELECT count(*) FROM encryption_keys").await, 2);
}

#[tokio::test]
async fn only_the_operator_rotates_and_every_batch_is_in_the_audit() {
    let app = TestApp::start().await;
    app.generate_password("m").await.ok();
    app.call("rotate-keys", json!({})).await.problem(401, "invalid_token");
    app.call_as("wrong", "rotate-keys", json!({})).await.problem(401, "invalid_token");
    app.call_as(ADMIN_TOKEN, "rotate-keys", json!({ "account": "x" })).await.problem(400, "invalid_field");
    rotate(&app).await;
    let rows = "SELECT string_agg(concat_ws(' ', success, details ->> 'reason'), ', ' ORDER BY id)
                FROM auth_logs_v2 WHERE action = 'keys_rotated'";
    assert_eq!(app.database.text(rows).await, "f invalid_token, f invalid_token, t");
}

#[tokio::test]
async fn the_key_of_rows_that_other_programs_wrote_cannot_be_dropped_either() {
    let app = TestApp::start_with(both()).await;
    let insert = "INSERT INTO users_v2 (username, password, gendate, state) VALUES ('michel.ranu', $1, 0, 'active')";
    app.database.client.execute(insert, &[&app.fernet("motdepasse123")]).await.unwrap();
    app.generate_password("somebody.new").await.ok();
    let app = app.restart_with(Settings::variable("encryption_key", OTHER)).await;
    app.request(Method::GET, "/function/health").await.problem(503, "unavailable");
    app.generate_password("another").await.problem(503, "unavailable");
}

#[tokio::test]
async fn a_row_of_the_history_that_no_key_opens_keeps_the_keys() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    let insert = "INSERT INTO password_history_v2 (user_id, password, gendate) SELECT id, 'gAAAAA', 0 FROM users_v2;
                  INSERT INTO password_history_v2 (user_id, password, gendate) VALUES (NULL, 'gAAAAA', 0)";
    app.database.client.batch_execute(insert).await.unwrap();
    let app = app.restart_with(both()).await;
    let batches = rotate(&app).await;
    assert_eq!(batches[0]["unreadable"].as_array().unwrap().len(), 2);
    assert_eq!(batches.last().unwrap()["rows_left"], 2);
    assert_eq!(app.database.count("SELECT count(*) FROM encryption_keys").await, 2);
    app.database.client.batch_execute("DELETE FROM password_history_v2 WHERE password = 'gAAAAA'").await.unwrap();
    rotate(&app).await;
    assert_eq!(app.database.count("SELECT count(*) FROM encryption_keys").await, 1);
}

#[tokio::test]
async fn the_database_itself_keeps_a_key_that_a_row_refers_to() {
    let app = TestApp::start().await;
    let _ = app.active_account("michel.ranu").await;
    let error = app.database.client.batch_execute("DELETE FROM encryption_keys").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23503");
}
