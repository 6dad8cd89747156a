//! A database or keys that cannot be used: 503, nothing changed, nothing told.

use cofrap_api::routes::ROUTES;
use cofrap_api::variables::DATABASE_URL;
use cofrap_api::{BearerOf, Route};
use cofrap_crypto::SessionClaims;
use cofrap_tests::{ADMIN_TOKEN, Answer, CHOSEN_PASSWORD, Settings, TestApp, TestServer};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Three functions say so, each within 5 seconds.
async fn check(app: &TestApp) {
    check_answer(app.generate_password("michel.ranu")).await;
    check_answer(app.generate_mfa("michel.ranu")).await;
    check_answer(app.authenticate("michel.ranu", "x", Value::Null)).await;
}

/// Every function that needs the database says so, with a bearer that it accepts.
async fn check_every_function(app: &TestApp) {
    let now = app.clock.now();
    let session = app.token_keys().sign_session(&SessionClaims {
        user_id: 1,
        issued_at: now,
        expires_at: now + 60,
        authenticated_at: now,
        epoch: 0,
        identity: [1; 32],
        session_id: [2; 16],
        token_id: [3; 16],
    });
    let body = json!({
        "username": "michel.ranu", "password": CHOSEN_PASSWORD, "2FA_code": "123456", "token": "123456", "action": "unlock"
    });
    let needs_database = |route: &&Route| route.variables.contains(&DATABASE_URL) && route.component != "health";
    for route in ROUTES.iter().filter(needs_database).filter(|route| route.bearer != BearerOf::Monitoring) {
        let bearer = if route.bearer == BearerOf::Session { &session } else { ADMIN_TOKEN };
        for method in route.methods() {
            check_answer(app.ask_as(bearer, method, route.paths[0], &body)).await;
        }
    }
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
    check_every_function(&app).await;
    app.database.come_back().await;
    app.generate_password("after").await.ok();
    let database = app.database.connect().await;
    let names = database.query_one("SELECT string_agg(username, ' ' ORDER BY id) FROM users_v2", &[]).await.unwrap();
    assert_eq!(names.get::<_, String>(0), "before after");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_503() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let database = TestServer::get().await.migrated_database().await;
    let settings = Settings::variables(database.variables_at(port));
    let app = TestApp::start_on(database, settings).await;
    check(&app).await;
    assert!(app.log().contains("connection failed: refused"), "{}", app.log());
}

#[tokio::test]
async fn a_wrong_database_password_is_503_and_no_part_of_it_is_shown() {
    for password in ["canary-password", r"can@ary/pa?ss#wo%rd' \ with spaces", "canary%40+&x=canary"] {
        let database = TestServer::get().await.migrated_database().await;
        let settings = Settings::variables(database.variables_with_password(password));
        let app = TestApp::start_on(database, settings).await;
        check(&app).await;
        let log = app.log();
        assert!(
            log.contains(r#""level":"error""#) && log.contains("connection failed: SQLSTATE 28P01, invalid_password"),
            "{log}"
        );
        for part in ["canary", "can@", "ary/", "wo%", "spaces", "cofrap_template_functions"] {
            assert!(!log.contains(part), "{part}: {log}");
        }
    }
}

#[tokio::test]
async fn a_database_user_may_have_any_password() {
    let password = r#"p@/?#%'\ :&=+" é"#;
    let database = TestServer::get().await.migrated_database().await;
    let create = format!(
        "CREATE ROLE \"odd functions@\" LOGIN PASSWORD '{}' IN ROLE cofrap_template_functions",
        password.replace('\'', "''")
    );
    database.client.batch_execute(&create).await.unwrap();
    let variables = database.variables_of("odd functions@", password);
    let app = TestApp::start_on(database, Settings::variables(variables)).await;
    app.generate_password("michel.ranu").await.ok();
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_503_and_the_log_names_the_variable_alone() {
    for (name, value, said) in [
        ("database_url", "canary", "variable database_url: write postgres://"),
        (
            "database_url",
            "postgres://u:canary@127.0.0.1:1/d?options=-c%20canary",
            "variable database_url: its parameters",
        ),
        (
            "database_url",
            "postgres://u:canary@127.0.0.1:1/d?hostaddr=203.0.113.7",
            "variable database_url: its parameters",
        ),
        ("database_url", "postgres://u:canary@127.0.0.1,canary/d", "variable database_url: it needs one host"),
        (
            "database_url",
            "postgres://u:canary@127.0.0.1:1/d?connect_timeout=canary",
            "variable database_url: connect_timeout",
        ),
        ("database_url", "postgres://u:canary@127.0.0.1:1/d\n", "variable database_url: it has white space"),
        ("database_url", "postgres://u:canary@127.0.0.1:1/d", "variable database_url: its host and port are not those"),
        ("database_host", "127.0.0.1:1", "variable database_url: its host and port are not those"),
        ("database_host", "*:5432", "variable database_host: write host:port"),
        ("database_host", "127.0.0.1", "variable database_host: write host:port"),
    ] {
        let app = TestApp::start_with(Settings::variable(name, value)).await;
        check(&app).await;
        let health = app.request(Method::GET, "/function/health").await.problem(503, "unavailable");
        assert_eq!(health["database"], "unavailable");
        let log = app.log();
        assert!(log.contains(said), "{name}={value}: {log}");
        assert!(
            log.lines().last().unwrap().contains(&format!("variable {name}: ")) || name == "database_host",
            "{log}"
        );
        assert!(!log.contains("canary"), "{log}");
    }
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
async fn an_audit_that_cannot_be_written_undoes_the_change() {
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
    let corrupt = "UPDATE users_v2 SET state = 'odd'";
    app.database.client.batch_execute(corrupt).await.unwrap();
    check(&app).await;
    assert!(app.log().contains("table users_v2, row 1, column state: unknown state"), "{}", app.log());
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_503_and_nothing_is_half_done() {
    for (break_it, mend) in [
        (
            "REVOKE INSERT ON auth_logs_v2 FROM cofrap_template_owner",
            "GRANT INSERT ON auth_logs_v2 TO cofrap_template_owner",
        ),
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
                      WHERE datname = current_database() AND usename = 'cofrap_template_functions'";
        app.database.client.batch_execute(others).await.unwrap();
    };
    settle(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    check(&app).await;
    settle(format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    app.generate_password("michel.ranu").await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM auth_logs_v2").await, 1);
}

/// A hash takes a third of a second, and the server ends idle sessions. A connection that was held would be closed when the outcome is
/// written, and a writing statement is not tried again.
#[tokio::test]
async fn no_connection_is_held_while_a_password_is_hashed() {
    for function in ["create-account-secure", "authentication"] {
        let app = TestApp::start().await;
        let body = json!({ "username": "michel.ranu", "password": CHOSEN_PASSWORD });
        let hashing = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                       AND application_name = 'cofrap' AND state = 'idle' AND query LIKE '/* find */%'";
        let meanwhile = async {
            while app.database.count(hashing).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            app.database.end_sessions().await;
        };
        let (answer, ()) = tokio::join!(app.call(function, body), meanwhile);
        assert!([200, 401].contains(&answer.status), "{function}: {}", answer.body);
    }
}

/// Whether it was done, nobody knows.
#[tokio::test]
async fn a_reading_statement_on_a_broken_connection_is_tried_again_and_a_writing_one_is_not() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    wire.take_statements();
    let reading = wire.interrupt("/* find */", app.generate_password("michel.ranu"), app.database.end_sessions());
    reading.await.ok();
    let finds = wire.take_statements().iter().filter(|statement| statement.starts_with("/* find */")).count();
    assert_eq!(finds, 2);

    let writing =
        wire.interrupt("/* create_account */", app.generate_password("somebody.new"), app.database.end_sessions());
    writing.await.problem(503, "outcome_unknown");
    let writes = wire.take_statements();
    assert_eq!(
        writes.iter().filter(|statement| statement.starts_with("/* create_account */")).count(),
        1,
        "{writes:#?}"
    );
    assert_eq!(app.database.text("SELECT string_agg(username, ' ') FROM users_v2").await, "michel.ranu");
}

/// The new password was never seen, and nobody may say that the old one still holds.
#[tokio::test]
async fn an_answer_that_got_lost_is_not_called_unchanged() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    wire.lose_answer_to("/* create_account */");
    app.generate_password("michel.ranu").await.problem(503, "outcome_unknown");
    assert_eq!(app.database.text("SELECT string_agg(username, ' ') FROM users_v2").await, "michel.ranu");
}

/// 70 requests at once to each of two functions take every connection that the server has for them.
#[tokio::test]
async fn after_a_burst_on_a_small_server_every_function_answers_within_five_seconds() {
    let database = TestServer::get().await.migrated_database().await;
    database
        .client
        .batch_execute(
            "CREATE ROLE few_functions LOGIN PASSWORD 'few' CONNECTION LIMIT 97 IN ROLE cofrap_template_functions",
        )
        .await
        .unwrap();
    let variables = database.variables_of("few_functions", "few");
    let app = TestApp::start_on(database, Settings::without_limits().with(variables)).await;
    let body = |number| json!({ "username": format!("n{number}"), "password": "wrong", "2FA_code": "123456", "token": "123456" });
    let codes = join_all((0..70).map(|number| app.call("verify-2fa", body(number))));
    let logins = join_all((0..70).map(|number| app.call("authenticate-user-v2", body(number))));
    // None gets further until every connection is taken.
    let mut other = app.database.connect().await;
    let lock = other.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE users_v2 IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let until_all_are_taken = async {
        let ours = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'few_functions'";
        while app.database.count(ours).await < 97 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        lock.rollback().await.unwrap();
    };
    let until_all_are_taken = tokio::time::timeout(Duration::from_secs(20), until_all_are_taken);
    let ((_, _), taken) = tokio::join!(futures_util::future::join(codes, logins), until_all_are_taken);
    taken.expect("the burst takes every connection");
    app.every_function_answers_soon().await;
}
