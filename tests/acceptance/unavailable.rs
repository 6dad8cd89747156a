//! A database or keys that cannot be used: 503, nothing changed, nothing told.

use cofrap_tests::{Answer, Settings, TestApp};
use serde_json::Value;
use std::time::Instant;

/// Every function says so, each within 5 seconds.
async fn check(app: &TestApp) {
    check_answer(app.generate_password("michel.ranu")).await;
    check_answer(app.generate_2fa("michel.ranu")).await;
    check_answer(app.authenticate("michel.ranu", "x", Value::Null)).await;
}

#[expect(clippy::disallowed_methods, reason = "it measures an answer's time")]
async fn check_answer(answer: impl Future<Output = Answer>) {
    let started = Instant::now();
    let problem = answer.await.problem(503, "unavailable");
    assert_eq!(problem["error"], "Service momentanément indisponible, rien n'a été modifié");
    assert_eq!(problem.as_object().unwrap().len(), 2, "{problem}");
    assert!(started.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn an_ill_formed_request_is_told_so_even_then() {
    let app = TestApp::start_with(Settings::variable("encryption_key", "")).await;
    app.post("/function/generate-password-v2", "application/json", "[]").await.problem(400, "invalid_json");
    app.call("generate-password-v2", serde_json::json!({})).await.problem(400, "missing_field");
}

#[tokio::test]
async fn a_database_that_refuses_is_503_and_all_is_well_once_it_is_back() {
    let app = TestApp::start().await;
    app.generate_password("before").await.ok();
    app.database.go_away().await;
    check(&app).await;
    app.database.come_back().await;
    app.generate_password("after").await.ok();
    let database = app.database.connect().await;
    let names = database.query_one("SELECT string_agg(username, ' ' ORDER BY id) FROM users_v2", &[]).await.unwrap();
    assert_eq!(names.get::<_, String>(0), "before after");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_503() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    check(&TestApp::start_with(Settings::variable("postgres_port", &port)).await).await;
}

#[tokio::test]
async fn a_wrong_database_password_is_503_and_is_not_shown() {
    let app = TestApp::start_with(Settings::variable("postgres_password", "canary-password")).await;
    check(&app).await;
    assert!(app.log().contains(r#""level":"error""#) && !app.log().contains("canary-password"), "{}", app.log());
}

#[tokio::test]
async fn keys_that_are_none_are_503_with_the_remedy_in_the_log_and_nothing_is_written() {
    let zeros = "A".repeat(43);
    for key in ["", "votre-cle-secrete-jwt-super-securisee", "c2hvcnQ=", zeros.as_str(), "?"] {
        let app = TestApp::start_with(Settings::variable("encryption_key", key)).await;
        check(&app).await;
        assert!(app.log().contains("openssl rand -base64 32"), "{}", app.log());
        assert!(key.len() < 2 || !app.log().contains(key));
        assert_eq!(
            app.database.count("SELECT (SELECT count(*) FROM users_v2) + (SELECT count(*) FROM auth_logs_v2)").await,
            0
        );
    }
}

#[tokio::test]
async fn an_audit_that_cannot_be_written_undoes_the_deed() {
    let app = TestApp::start().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    app.database.client.batch_execute("ALTER TABLE auth_logs_v2 ADD CHECK (id < 0) NOT VALID").await.unwrap();
    michel.log_in().await.problem(503, "unavailable");
    app.generate_password("michel.ranu").await.problem(503, "unavailable");
    app.generate_password("somebody.new").await.problem(503, "unavailable");
    let states = "SELECT string_agg(concat_ws(' ', username, state, password_generation), ', ') FROM users_v2";
    assert_eq!(app.database.text(states).await, "michel.ranu provisional 1");
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_503_and_located_in_the_log() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    let corrupt = "ALTER TABLE users_v2 DROP CONSTRAINT users_v2_state_check; UPDATE users_v2 SET state = 'odd'";
    app.database.client.batch_execute(corrupt).await.unwrap();
    check(&app).await;
    assert!(app.log().contains("table users_v2, row 1, column state: unknown state"), "{}", app.log());
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_503_and_nothing_is_half_done() {
    for (break_it, mend) in [
        ("REVOKE INSERT ON auth_logs_v2 FROM cofrap_app", "GRANT INSERT ON auth_logs_v2 TO cofrap_app"),
        ("LOCK TABLE auth_logs_v2 IN EXCLUSIVE MODE", ""),
    ] {
        let app = TestApp::start().await;
        let mut michel = app.provisional_account("michel.ranu").await;
        let before = app.database.text("SELECT to_jsonb(u)::text FROM users_v2 u").await;
        let mut other = app.database.connect().await;
        let transaction = other.transaction().await.unwrap();
        if mend.is_empty() {
            transaction.batch_execute(break_it).await.unwrap();
        } else {
            app.database.client.batch_execute(break_it).await.unwrap();
        }
        check(&app).await;
        let code = michel.fresh_code();
        app.authenticate("michel.ranu", &michel.password, code).await.problem(503, "unavailable");
        transaction.rollback().await.unwrap();
        assert_eq!(app.database.text("SELECT to_jsonb(u)::text FROM users_v2 u").await, before);
        app.database.client.batch_execute(mend).await.unwrap();
        app.clock.advance(30);
        michel.log_in().await.ok();
    }
}

#[tokio::test]
async fn a_read_only_database_is_503_and_healthy_again_after() {
    let app = TestApp::start().await;
    let name = app.database.text("SELECT current_database()::text").await;
    let settle = async |statement: String| {
        app.database.client.batch_execute(&statement).await.unwrap();
        // Connections that are there keep what they had.
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE datname = current_database() AND usename = 'cofrap_functions'";
        app.database.client.batch_execute(others).await.unwrap();
    };
    settle(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    check(&app).await;
    settle(format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    app.generate_password("michel.ranu").await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM auth_logs_v2").await, 1);
}
