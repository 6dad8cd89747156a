//! `POST /function/generate-password-v2`: what a caller can rely on.

use cofrap_tests::{Settings, TestApp, now_at_start};
use serde_json::json;

#[tokio::test]
async fn the_answer_is_the_specification_s() {
    let app = TestApp::start().await;
    let mut answer = app.generate_password("michel.ranu").await.ok().0;
    answer["qr_code"].take();
    let expected = json!({
        "success": true, "username": "michel.ranu", "qr_code": null, "gendate": now_at_start(),
        "message": "Mot de passe généré avec succès",
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn the_password_has_24_characters_of_all_four_classes() {
    let app = TestApp::start().await;
    let password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    assert_eq!(password.chars().count(), 24);
    let special = "!@#$%^&*()_+-=[]{}|;:,.<>?";
    assert!(password.chars().any(|c| c.is_ascii_uppercase()), "{password}");
    assert!(password.chars().any(|c| c.is_ascii_lowercase()), "{password}");
    assert!(password.chars().any(|c| c.is_ascii_digit()), "{password}");
    assert!(password.chars().any(|c| special.contains(c)), "{password}");
    assert!(password.chars().all(|c| c.is_ascii_alphanumeric() || special.contains(c)), "{password}");
}

#[tokio::test]
async fn passwords_come_from_the_platform_s_random_source_alone() {
    let app = TestApp::start_with(Settings { seed: Some(1), ..Settings::default() }).await;
    let other = TestApp::start_with(Settings { seed: Some(1), ..Settings::default() }).await;
    let drawn = app.generate_password("michel.ranu").await.ok().read_qr_code();
    assert_eq!(other.generate_password("somebody.else").await.ok().read_qr_code(), drawn);
}

#[tokio::test]
async fn the_password_is_shown_once_and_never_stored_in_clear() {
    let app = TestApp::start().await;
    let password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    let dump = app.database.dump().await;
    assert!(dump.contains("michel.ranu") && !dump.contains(&password));
    assert!(!app.log().contains(&password));
}

#[tokio::test]
async fn what_is_stored_is_a_fernet_token_of_the_password() {
    let app = TestApp::start().await;
    let password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    let stored = app.database.text("SELECT password::text FROM users_v2").await;
    assert!(stored.starts_with("gAAAAA"));
    assert_eq!(app.unseal(stored), password);
}

#[tokio::test]
async fn a_new_account_is_provisional_and_dated_by_the_functions_clock() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    let row = "SELECT concat_ws(' ', state, origin, gendate, expired, created_at, updated_at, mfa) FROM users_v2";
    let expected = format!("provisional generation {} f 2026-01-15 12:00:00 2026-01-15 12:00:00", now_at_start());
    assert_eq!(app.database.text(row).await, expected);
}

#[tokio::test]
async fn a_provisional_account_starts_over_with_a_new_password_and_no_second_factor() {
    let app = TestApp::start().await;
    let mut before = app.provisional_account("michel.ranu").await;
    app.clock.advance(10);
    let password = app.generate_password("michel.ranu").await.ok().read_qr_code();
    assert_ne!(password, before.password);
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE mfa IS NULL AND mfa_gendate IS NULL").await, 1);
    app.authenticate("michel.ranu", &password, before.fresh_code()).await.problem(403, "mfa_enrollment_required");
    before.log_in().await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn an_account_that_has_logged_in_once_is_open_to_nobody_without_proof() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let before = app.database.text("SELECT to_jsonb(u)::text FROM users_v2 u").await;

    let problem = app.generate_password("michel.ranu").await.problem(403, "proof_required");
    assert_eq!(
        problem["error"],
        "Ce compte est actif : joignez le mot de passe actuel et le code 2FA, ou un jeton de renouvellement"
    );
    assert_eq!(app.database.text("SELECT to_jsonb(u)::text FROM users_v2 u").await, before);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_row_of_another_program_is_open_to_nobody_without_proof() {
    let app = TestApp::start().await;
    let insert = "INSERT INTO users_v2 (username, password, gendate) VALUES ('michel.ranu', 'gAAAAA', 0)";
    app.database.client.batch_execute(insert).await.unwrap();
    app.generate_password("michel.ranu").await.problem(403, "proof_required");
    app.generate_mfa("michel.ranu").await.problem(403, "proof_required");
}

#[tokio::test]
async fn two_names_never_differ_in_case_alone() {
    let app = TestApp::start().await;
    app.generate_password("Michel.Ranu").await.ok();
    app.generate_password("michel.ranu").await.problem(409, "username_taken");
    app.generate_password("MICHEL.RANU").await.problem(409, "username_taken");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 1);
}

#[tokio::test]
async fn every_password_has_its_row_in_the_history_and_only_the_last_is_in_force() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    app.clock.advance(60);
    app.generate_password("michel.ranu").await.ok();
    let rows =
        "SELECT string_agg(concat_ws(' ', gendate, expired, created_at), ', ' ORDER BY id) FROM password_history_v2";
    let (first, second) = (now_at_start(), now_at_start() + 60);
    assert_eq!(app.database.text(rows).await, format!("{first} t 2026-01-15 12:00:00, {second} f 2026-01-15 12:01:00"));
    let same =
        "SELECT count(*) FROM users_v2 u JOIN password_history_v2 h ON h.user_id = u.id AND h.password = u.password";
    assert_eq!(app.database.count(same).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_first_generations_every_success_but_the_last_was_replaced_whole() {
    let app = TestApp::start().await;
    for round in 0..20 {
        let name = format!("michel.{round}");
        let answers =
            tokio::join!(app.generate_password(&name), app.generate_password(&name), app.generate_password(&name));
        let answers: Vec<_> = [answers.0, answers.1, answers.2].into();
        answers.iter().filter(|answer| answer.status != 200).for_each(|answer| {
            answer.problem(409, "overtaken");
        });
        let passwords: Vec<_> = answers
            .into_iter()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.ok().read_qr_code())
            .collect();
        let stored = app.database.text(&format!("SELECT password::text FROM users_v2 WHERE username = '{name}'")).await;
        let stored = app.unseal(stored);
        assert!(passwords.contains(&stored));
        let history = format!(
            "SELECT count(*) FROM password_history_v2 h JOIN users_v2 u ON u.id = h.user_id WHERE username = '{name}'"
        );
        assert_eq!(app.database.count(&history).await, i64::try_from(passwords.len()).unwrap());
    }
}

#[tokio::test]
async fn a_missing_name_is_asked_for_in_the_specification_s_words() {
    let app = TestApp::start().await;
    for body in [json!({}), json!({ "username": null }), json!({ "username": "" })] {
        let problem = app.call("generate-password-v2", body).await.problem(400, "missing_field");
        assert_eq!(problem["error"], "Le paramètre username est requis");
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_one_is_refused_by_the_field_s_name() {
    let app = TestApp::start().await;
    let long = "e".repeat(51);
    let bad = [
        json!(" michel"),
        json!("michel\n"),
        json!("mi\u{200b}chel"),
        json!("e\u{301}ve"),
        json!(long),
        json!(7),
        json!(["m"]),
        json!("\0"),
    ];
    for username in bad {
        let problem =
            app.call("generate-password-v2", json!({ "username": username })).await.problem(400, "invalid_field");
        assert!(problem["error"].as_str().unwrap().contains("username"), "{problem}");
    }
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 0);
}

#[tokio::test]
async fn names_keep_their_bytes_whatever_they_hold() {
    let app = TestApp::start().await;
    let fifty = "é".repeat(50);
    for name in ["Ève Dupont", "o'brien", "'--'", "李小龍", fifty.as_str()] {
        assert_eq!(app.generate_password(name).await.ok().0["username"], name);
        let stored = app.database.client.query_one("SELECT count(*) FROM users_v2 WHERE username = $1", &[&name]).await;
        assert_eq!(stored.unwrap().get::<_, i64>(0), 1, "{name}");
    }
}

/// A password that is made in the second of a mark is born after it.
#[tokio::test]
async fn the_answer_s_gendate_is_the_one_that_is_stored() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let body = michel.with_credentials();
    app.administer("michel.ranu", "expire").await.ok();
    let answer = app.call("generate-password-v2", body).await.ok().0;
    let stored = app.database.count("SELECT gendate FROM users_v2").await;
    assert_eq!(answer["gendate"], stored);
    assert_eq!(stored, app.clock.now() + 1);
}
