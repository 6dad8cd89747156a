//! Names: which of them are one.

use cofrap_accounts::sameness_key;
use cofrap_tests::{CHOSEN_PASSWORD, Settings, TestApp, TestServer, caseless};
use serde_json::json;
use std::collections::HashMap;

/// Letters that are too new for the compiler's tables are left out.
#[test]
fn letters_that_match_without_case_share_their_key() {
    let mut keys = HashMap::new();
    for letter in ('\0'..=char::MAX).filter(|letter| letter.is_alphanumeric()).map(String::from) {
        let key = keys.entry(caseless(&letter)).or_insert_with(|| sameness_key(&letter));
        assert_eq!(*key, sameness_key(&letter), "{letter}");
    }
}

#[tokio::test]
async fn no_new_account_has_a_name_that_people_cannot_tell_from_another_or_cannot_see() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    for twin in ["MICHEL.RANU", "michel.ranu\u{fe0f}", "ｍｉｃｈｅｌ.ranu"] {
        app.generate_password(twin).await.problem(409, "username_taken");
        app.create_account(twin, CHOSEN_PASSWORD).await.problem(409, "username_taken");
    }
    for (name, word) in [
        ("\u{3164}", "lettres"),
        ("p\u{430}ul", "alphabets"),
        ("🔐", "lettres"),
        ("a  b", "espace"),
        ("ｐａｕｌ", "« paul »"),
        ("a;b", "lettres"),
    ] {
        for answer in [app.generate_password(name).await, app.create_account(name, CHOSEN_PASSWORD).await] {
            let error = answer.problem(400, "invalid_field")["error"].as_str().unwrap().to_owned();
            assert!(error.contains("username") && error.contains(word), "{name}: {error}");
        }
    }
    let refused = "SELECT count(*) FROM auth_logs_v2 WHERE details ->> 'reason' = 'invalid_username'";
    assert_eq!(app.database.count(refused).await, 12);
    for name in ["Ève Dupont", "李小龍", "o'brien@x+y_2", "أحمد"] {
        app.generate_password(name).await.ok();
    }
}

#[tokio::test]
async fn who_has_an_old_name_logs_in_with_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel").await;
    for name in ["🔐", "a;b", "michel\u{fe0f}"] {
        app.database.client.execute("UPDATE users_v2 SET username = $1", &[&name]).await.unwrap();
        let unbound = "UPDATE users_v2 SET standing_binding = NULL, standing_key = NULL, password_key = NULL,
                                           password_binding = NULL, mfa_key = NULL, mfa_binding = NULL";
        app.database.client.batch_execute(unbound).await.unwrap();
        michel.username = name.to_owned();
        michel.log_in().await.ok();
        let body = michel.with_credentials();
        michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    }
    app.call("authentication", json!({ "username": "michel\u{fe0f}", "password": michel.password })).await.ok();
}

#[tokio::test]
async fn keys_that_were_made_in_another_way_are_made_anew_once() {
    let database = TestServer::get().await.migrated_database().await;
    let rows = "INSERT INTO users_v2 (username, username_key, password, gendate)
                VALUES ('straße', 'straße', 'x', 0), ('STRASSE', 'strasse', 'x', 0), ('ｐａｕｌ', 'ｐａｕｌ', 'x', 0);
                UPDATE installation SET sameness = NULL";
    database.client.batch_execute(rows).await.unwrap();
    database.migrate().await;
    let keys = "SELECT string_agg(concat_ws('=', username, username_key), ' ' ORDER BY id) FROM users_v2";
    assert_eq!(database.text(keys).await, "straße STRASSE=strasse ｐａｕｌ=paul");
    database
        .client
        .batch_execute("UPDATE users_v2 SET username_key = 'kept' WHERE username_key = 'paul'")
        .await
        .unwrap();
    database.migrate().await;
    assert!(database.text(keys).await.ends_with("=kept"));
    let app = TestApp::start_on(database, Settings::default()).await;
    app.generate_password("strasse").await.problem(409, "username_taken");
}
