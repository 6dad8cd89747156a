//! The database: what migrations promise.

use cofrap_api::routes::ROUTES;
use cofrap_api::{BearerOf, Route};
use cofrap_edge::{CALLS, DatabaseUrl};
use cofrap_migrations::{SCHEMA_VERSION, let_functions_log_in, migrate, set_session_defaults};
use cofrap_tests::{ADMIN_TOKEN, CHOSEN_PASSWORD, MAX_AGE, Person, Settings, TestApp, TestServer, now_at_start};
use std::time::Duration;

/// The tables as the functions on OpenFaaS made them.
const SEED: &str = "
    CREATE TABLE users_v2 (
        id SERIAL PRIMARY KEY,
        username VARCHAR(50) NOT NULL UNIQUE,
        password VARCHAR(255) NOT NULL,
        mfa VARCHAR(255),
        gendate BIGINT NOT NULL,
        expired BOOLEAN DEFAULT FALSE,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    );
    CREATE TABLE password_history_v2 (
        id SERIAL PRIMARY KEY,
        user_id INTEGER REFERENCES users_v2 (id) ON DELETE CASCADE,
        password VARCHAR(255) NOT NULL,
        gendate BIGINT NOT NULL,
        expired BOOLEAN DEFAULT FALSE,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    );
    CREATE INDEX idx_password_history_v2_user_id ON password_history_v2 (user_id);
    CREATE TABLE auth_logs_v2 (
        id SERIAL PRIMARY KEY,
        user_id INTEGER REFERENCES users_v2 (id) ON DELETE SET NULL,
        action VARCHAR(50) NOT NULL,
        ip_address INET,
        user_agent TEXT,
        success BOOLEAN NOT NULL,
        details JSONB,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    );
    INSERT INTO users_v2 (username, password, mfa, gendate, expired) VALUES
        ('old', 'x', NULL, 1, NULL), ('Pair', 'x', '', 1, FALSE), ('pair', 'x', NULL, 1, FALSE), (' padded', 'x', NULL, 1, TRUE);
    INSERT INTO password_history_v2 (user_id, password, gendate) VALUES (1, 'x', 1);
    INSERT INTO auth_logs_v2 (user_id, action, success) VALUES (1, 'login', TRUE);
    INSERT INTO auth_logs_v2 (action, success, details)
        SELECT 'login', FALSE, jsonb_build_object('username', string_agg(md5(n::text), '')) FROM generate_series(1, 500) n;";

#[tokio::test]
async fn every_call_is_prepared_on_the_migrated_schema_with_the_rights_of_the_functions() {
    let database = TestServer::get().await.migrated_database().await;
    let functions = database.connect_as_the_functions().await;
    for call in CALLS {
        if let Err(error) = functions.prepare(call).await {
            panic!("{call}: {error:?}");
        }
    }
}

#[tokio::test]
async fn idle_sessions_of_the_functions_end_by_the_server_s_own_clock() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    let ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'cofrap_template_functions'";
    assert_eq!(app.database.count(ours).await, 1);
    tokio::time::timeout(Duration::from_secs(5), async {
        while app.database.count(ours).await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the session ends");
    app.generate_password("michel.ranu").await.ok();
}

/// A pooler may drop what the functions ask for when they connect.
#[tokio::test]
async fn the_functions_user_has_by_itself_what_the_functions_ask_for() {
    let database = TestServer::get().await.empty_database().await;
    migrate(&mut database.connect().await, |_| {}).await.unwrap();
    let user = let_functions_log_in(&database.client, "pooled").await.unwrap();
    set_session_defaults(&database.client, &user).await.unwrap();
    let of_the_user = format!("SELECT array_to_string(rolconfig, ' ') FROM pg_roles WHERE rolname = '{user}'");
    let variables = database.variables_of(&user, "pooled");
    let url = DatabaseUrl::parse(&variables["database_url"]).unwrap().connection_string();
    let (_, options) = url.split_once("?options=").unwrap();
    let (options, _) = options.split_once('&').unwrap();
    let options = percent_encoding::percent_decode_str(options).decode_utf8().unwrap().replace("-c ", "");
    let milliseconds = database.text(&of_the_user).await.replace("ms", "").replace("TimeZone", "timezone");
    assert_eq!(milliseconds, options);
}

#[tokio::test]
async fn the_functions_know_the_latest_schema() {
    let database = TestServer::get().await.migrated_database().await;
    let latest = "SELECT max(version)::bigint FROM refinery_schema_history";
    assert_eq!(database.count(latest).await, SCHEMA_VERSION);
    assert_eq!(cofrap_edge::SCHEMA_VERSION, SCHEMA_VERSION);
}

/// Every function of the table, whatever it answers; `maintain` alone works through a list.
#[tokio::test]
async fn no_function_takes_more_than_two_statements() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.active_account("michel.ranu").await;
    let body = serde_json::json!({
        "username": "nobody", "password": CHOSEN_PASSWORD, "2FA_code": "123456", "token": "123456", "action": "unlock"
    });
    let is_function = |route: &&Route| route.paths[0].starts_with("/function/") && route.component != "maintain";
    for route in ROUTES.iter().filter(is_function) {
        for method in route.methods() {
            let session = michel.session().await;
            let bearer = if route.bearer == BearerOf::Session { &session } else { ADMIN_TOKEN };
            wire.take_statements();
            let path = route.paths[0];
            app.ask_as(bearer, method, path, &body).await;
            let statements = wire.take_statements();
            assert!(statements.len() <= 2, "{method} {path}: {statements:#?}");
        }
    }
}

#[tokio::test]
async fn no_request_takes_more_than_two_statements() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let check = |statements: Vec<String>| assert!((1..=2).contains(&statements.len()), "{statements:#?}");

    app.provisional_account("michel.ranu").await;
    assert_eq!(wire.take_statements().len(), 4);
    app.generate_password("michel.ranu").await.ok();
    check(wire.take_statements());
    let mut michel = app.provisional_account("michel.ranu").await;
    wire.take_statements();
    for code in ["12345", "000000"] {
        app.authenticate("michel.ranu", "wrong", code).await.problem(401, "invalid_credentials");
        check(wire.take_statements());
    }
    app.authenticate("nobody", "wrong", "123456").await.problem(401, "invalid_credentials");
    check(wire.take_statements());
    michel.log_in().await.ok();
    check(wire.take_statements());
    app.generate_mfa("michel.ranu").await.problem(403, "proof_required");
    check(wire.take_statements());
    let session = michel.session().await;
    check(wire.take_statements());
    app.session(&session).await.ok();
    check(wire.take_statements());
    app.request_as(&session, http::Method::GET, "/function/activity").await.ok();
    check(wire.take_statements());
    let body = serde_json::json!({ "username": "michel.ranu" });
    app.call_as(&session, "generate-2fa-v2", body.clone()).await.ok();
    check(wire.take_statements());
    app.call_as(&session, "generate-password-v2", body).await.ok();
    check(wire.take_statements());
    app.administer("michel.ranu", "expire").await.ok();
    check(wire.take_statements());
    app.request_as(ADMIN_TOKEN, http::Method::GET, "/function/audit-log").await.ok();
    check(wire.take_statements());
    app.call_as(ADMIN_TOKEN, "rotate-keys", serde_json::json!({})).await.ok();
    check(wire.take_statements());
    for _ in 0..6 {
        app.authenticate("nobody", "wrong", "123456").await;
        check(wire.take_statements());
    }
    app.create_account("first", CHOSEN_PASSWORD).await.ok();
    check(wire.take_statements());
    app.create_account("first", CHOSEN_PASSWORD).await.problem(409, "username_taken");
    check(wire.take_statements());
    for password in [CHOSEN_PASSWORD, "wrong"] {
        app.begin_login("first", password).await;
        check(wire.take_statements());
    }
    let mut first = app.chosen_account("another").await;
    let challenge = first.challenge().await;
    wire.take_statements();
    for code in ["000000".to_owned(), first.fresh_code()] {
        app.verify_code("another", &code).await;
        check(wire.take_statements());
    }
    let code = first.fresh_code();
    app.complete_login("another", &code, &challenge).await.ok();
    check(wire.take_statements());
    for function in ["generate-password", "generate-2fa"] {
        app.call(function, serde_json::json!({ "username": "another", "password": "x" })).await;
        check(wire.take_statements());
    }
    let mut late = app.active_account("late").await;
    wire.take_statements();
    app.clock.advance(MAX_AGE + 1);
    late.log_in().await.problem(403, "password_expired");
    check(wire.take_statements());
    app.post("/function/generate-password-v2", "application/json", "{}").await.problem(400, "missing_field");
    assert!(wire.take_statements().is_empty());
}

#[tokio::test]
async fn migrating_twice_or_from_two_sides_at_once_changes_nothing_more() {
    let database = TestServer::get().await.empty_database().await;
    let (mut one, mut other) = (database.connect().await, database.connect().await);
    let (first, second) = tokio::join!(migrate(&mut one, |_| {}), migrate(&mut other, |_| {}));
    let (first, second) = (first.unwrap().applied, second.unwrap().applied);
    assert!(first.is_empty() != second.is_empty(), "{first:?} {second:?}");
    assert!(migrate(&mut one, |_| {}).await.unwrap().applied.is_empty());
}

#[tokio::test]
async fn a_changed_applied_file_is_refused() {
    let database = TestServer::get().await.migrated_database().await;
    let change = "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1";
    database.client.batch_execute(change).await.unwrap();
    let error = migrate(&mut database.connect().await, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("V1__seed_tables"), "{error}");
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_name_is_refused() {
    let database = TestServer::get().await.empty_database().await;
    let latin = "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'";
    database.client.batch_execute(latin).await.unwrap();
    let error = migrate(&mut database.connect_to("latin").await, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("LATIN1") && error.contains("UTF8"), "{error}");
}

#[tokio::test]
async fn rows_of_an_existing_database_stay_are_active_and_log_in() {
    let database = TestServer::get().await.empty_database().await;
    database.client.batch_execute(SEED).await.unwrap();
    database.migrate().await;
    let rows =
        "SELECT string_agg(concat_ws(' ', id, username, state, origin, username_key), ', ' ORDER BY id) FROM users_v2";
    assert_eq!(database.count("SELECT count(*) FROM password_history_v2 JOIN auth_logs_v2 USING (user_id)").await, 1);
    let expected = "1 old active external old, 2 Pair active external pair, 3 pair active external, \
                    4  padded active external padded";
    assert_eq!(database.text(rows).await, expected);

    let app = TestApp::start_on(database, Settings::default()).await;
    let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let seal = |clear: &str| app.fernet(clear);
    let update = "UPDATE users_v2 SET password = $1, mfa = $2, gendate = $3 WHERE username = 'old'";
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&seal("motdepasse123"), &seal(secret), &now_at_start()];
    app.database.client.execute(update, &row).await.unwrap();
    app.generate_password("old").await.problem(403, "proof_required");
    app.generate_password("OLD").await.problem(409, "username_taken");
    app.generate_password("PAIR").await.problem(409, "username_taken");
    app.generate_password("padded").await.problem(409, "username_taken");
    let uri = format!("otpauth://totp/x:y?secret={secret}&issuer=x");
    Person::new(&app, "old", "motdepasse123".to_owned(), &uri).log_in().await.ok();

    app.generate_password("new").await.ok();
    assert_eq!(app.database.text("SELECT state FROM users_v2 WHERE username = 'new'").await, "provisional");
}
