//! Backups, and what a restored database needs before anybody is let in.

use cofrap_accounts::UnixTime;
use cofrap_migrations::{after_restore, is_here, read_export};
use cofrap_tests::{Folder, KEY, TestApp, TestServer, xtask};
use http::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// How many numbers are left out.
const SKIP: u32 = 100_000;

/// What a restoration leaves: the rows as they were, at another place.
async fn move_elsewhere(app: &TestApp) {
    let moved = "UPDATE installation SET place = concat(place, ' before')";
    app.database.client.batch_execute(moved).await.unwrap();
}

async fn treat(app: &TestApp) -> cofrap_migrations::Treated {
    let now = UnixTime::from_seconds(app.clock.now());
    after_restore(&mut app.database.connect().await, now, SKIP, &[]).await.unwrap()
}

#[tokio::test]
async fn a_database_that_was_restored_and_not_treated_is_not_served() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    move_elsewhere(&app).await;
    assert!(!is_here(&app.database.client).await.unwrap());
    let body = michel.with_credentials();
    app.call("authenticate-user-v2", body.clone()).await.problem(503, "unavailable");
    app.call("generate-password-v2", json!({ "username": "somebody.new" })).await.problem(503, "unavailable");
    app.call("authentication", json!({ "username": "michel.ranu", "password": "x" })).await.problem(503, "unavailable");
    app.session(&session).await.problem(401, "invalid_token");
    let health = app.request(Method::GET, "/function/health").await;
    assert_eq!(health.status, 503);
    assert!(app.log().contains("the database was restored"), "{}", app.log());

    treat(&app).await;
    assert!(is_here(&app.database.client).await.unwrap());
    app.request(Method::GET, "/function/health").await.ok();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn nothing_that_was_given_before_opens_anything() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let challenge = michel.challenge().await;
    // A new second factor waits; elsewhere the password before would still prove an answer that was lost.
    let waiting = app.call("generate-2fa-v2", michel.with_credentials()).await.ok().0["provisioning_uri"].clone();
    let mut jeanne = app.active_account("jeanne.martin").await;
    app.call("generate-password-v2", jeanne.with_credentials()).await.ok();

    let mut paul = app.active_account("paul.petit").await;
    app.administer("paul.petit", "expire").await.ok();
    let renewal = paul.log_in().await.problem(403, "password_expired")["renewal_token"].clone();
    let treated = treat(&app).await;
    assert_eq!((treated.accounts, treated.waiting_secrets), (3, 1));
    app.session(&session).await.problem(401, "invalid_token");
    let second = json!({ "username": "michel.ranu", "token": michel.fresh_code(), "challenge": challenge });
    app.call("verify-2fa", second).await.problem(401, "invalid_credentials");
    let renewal = json!({ "username": "paul.petit", "renewal_token": renewal });
    app.call("generate-password-v2", renewal).await.problem(403, "proof_required");
    app.call("generate-password-v2", jeanne.with_credentials()).await.problem(401, "invalid_credentials");
    let other = michel.with_second_factor(waiting.as_str().unwrap()).code_at(app.clock.now());
    app.authenticate("michel.ranu", &michel.password, other).await.problem(401, "invalid_credentials");
    michel.log_in().await.ok();
}

/// What was worth a login between the backup and the loss is worth none now.
#[tokio::test]
async fn a_code_up_to_now_counts_as_used() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let code = michel.fresh_code();
    treat(&app).await;
    app.authenticate("michel.ranu", &michel.password, code).await.problem(401, "invalid_credentials");
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_number_that_was_given_is_never_given_to_somebody_else() {
    let app = TestApp::start().await;
    let first = app.active_account("before.the.backup").await.username;
    let number = format!("SELECT id::int8 FROM users_v2 WHERE username = '{first}'");
    let kept = app.database.count(&number).await;
    app.active_account("after.the.backup").await;
    app.database.client.batch_execute("DELETE FROM users_v2 WHERE username = 'after.the.backup'").await.unwrap();
    app.database.client.batch_execute("SELECT setval('users_v2_id_seq', 1)").await.unwrap();
    let treated = treat(&app).await;
    assert_eq!(treated.next_number, kept + i64::from(SKIP) + 1);
    // Whatever is done before the functions serve: migrating sets sequences that lag, and this one does not.
    app.database.migrate().await;
    // And treated again, as after a second loss with nobody new in between: what was given meanwhile may be lost.
    assert_eq!(treat(&app).await.next_number, treated.next_number + i64::from(SKIP));
    app.active_account("another.person").await;
    let next = app.database.count("SELECT id::int8 FROM users_v2 WHERE username = 'another.person'").await;
    assert!(next >= treated.next_number, "{next}");
    // Doing it again goes on from there.
    assert_eq!(treat(&app).await.next_number, next + i64::from(SKIP) + 1);
    let row = "SELECT count(*) FROM auth_logs_v2 WHERE action = 'database_restored' AND success";
    assert_eq!(app.database.count(row).await, 3);
}

#[tokio::test]
async fn numbers_that_are_not_left_are_said_and_nothing_is_done() {
    let app = TestApp::start().await;
    app.database
        .client
        .batch_execute("INSERT INTO users_v2 (id, username, password, gendate) VALUES (2147483000, 'x', 'x', 0)")
        .await
        .unwrap();
    let identity = "SELECT identity FROM installation";
    let before = app.database.text(identity).await;
    let refused = after_restore(&mut app.database.connect().await, UnixTime::from_seconds(0), SKIP, &[]).await;
    assert!(refused.unwrap_err().to_string().contains("skip fewer than 100000"));
    assert_eq!(app.database.text(identity).await, before);
}

#[tokio::test]
async fn what_went_back_is_listed_from_an_export_of_the_audit() {
    let app = TestApp::start().await;
    for name in ["stays.disabled", "comes.back"] {
        app.active_account(name).await;
    }
    app.administer("stays.disabled", "disable").await.ok();
    let backed_up = app.database.count("SELECT max(id)::int8 FROM auth_logs_v2").await;
    app.administer("comes.back", "disable").await.ok();
    app.authenticate("comes.back", "wrong", "123456").await.problem(401, "invalid_credentials");
    let export = app.request_as(&app.operator, Method::GET, "/function/audit-log?limit=500").await.body;
    // As the backup had it.
    app.database
        .client
        .batch_execute(&format!(
            "DELETE FROM auth_logs_v2 WHERE id > {backed_up};
             UPDATE users_v2 SET disabled_at = NULL WHERE username = 'comes.back'"
        ))
        .await
        .unwrap();
    let now = UnixTime::from_seconds(app.clock.now());
    let export = read_export(&export).unwrap();
    let treated = after_restore(&mut app.database.connect().await, now, SKIP, &export).await.unwrap();
    let lost: Vec<_> = treated.lost.iter().map(|lost| (lost.action.as_str(), lost.username.as_deref())).collect();
    assert_eq!(lost, [("account_disabled", Some("comes.back"))]);
}

/// `cargo xtask`, with keys that no file has.
fn command(arguments: &[&str], database: &str, key: &str) -> Output {
    let mut command: Command = xtask();
    command
        .args(arguments)
        .env("DATABASE_URL", database)
        .env("SPIN_VARIABLE_ENCRYPTION_KEY", key)
        .env("SPIN_VARIABLE_JWT_SECRET", "c2lnbmluZyBrZXkgb2YgYWNjZXB0YW5jZSB0ZXN0cyE=")
        .env("SPIN_VARIABLE_SETTINGS", "policy=strict")
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn accounts_come_back_from_a_file_and_log_in_with_the_archived_key() {
    // With the machine's clock, which the command has too.
    let app = TestApp::anywhere().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let folder = Folder::new("backup");
    let file = folder.path().join("accounts.dump");
    let path = file.to_str().unwrap();
    let written = command(&["backup", path], &app.database.url_of_the_owner(), &KEY);
    assert!(written.status.success(), "{}", said(&written));
    is_private_and_holds_no_key(&file);
    let again = command(&["backup", path], &app.database.url_of_the_owner(), &KEY);
    assert!(!again.status.success() && said(&again).contains("is there already"), "{}", said(&again));

    // Not over accounts that are there.
    let over = command(&["restore", path], &app.database.url_of_the_owner(), &KEY);
    assert!(!over.status.success() && said(&over).contains("holds accounts"), "{}", said(&over));

    // Another key is said before anybody is let in.
    let wrong = TestServer::get().await.empty_database().await;
    let refused =
        command(&["restore", path], &wrong.url_of_the_owner(), "YW5vdGhlciBrZXkgdGhhbiB0aGUgYXJjaGl2ZWQgb24=");
    assert!(!refused.status.success() && said(&refused).contains("SPIN_VARIABLE_ENCRYPTION_KEY"), "{}", said(&refused));
    assert!(!is_here(&wrong.client).await.unwrap());

    let fresh = TestServer::get().await.empty_database().await;
    let restored = command(&["restore", path], &fresh.url_of_the_owner(), &KEY);
    assert!(restored.status.success(), "{}", said(&restored));
    fresh.migrate().await;
    let there = app.restart_elsewhere(fresh).await;
    there.session(&session).await.problem(401, "invalid_token");
    let answer = there.call("authenticate-user-v2", michel.with_credentials()).await.ok().0;
    assert_eq!(answer["username"], "michel.ranu");
    let rows: Value = there.request_as(&there.operator, Method::GET, "/function/audit-log").await.ok().0;
    assert!(rows["entries"].as_array().unwrap().iter().any(|row| row["action"] == "database_restored"), "{rows}");
}

fn is_private_and_holds_no_key(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
    let bytes = std::fs::read(file).unwrap();
    for secret in [KEY.as_bytes(), cofrap_tests::ADMIN_TOKEN.as_bytes()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}
