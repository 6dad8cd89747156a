//! The database: what migrations promise.

use cofrap_edge::STATEMENTS;
use cofrap_migrations::migrate;
use cofrap_tests::{Person, Settings, TestApp, TestServer, now_at_start};

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
    );";

#[tokio::test]
async fn every_statement_is_prepared_on_the_migrated_schema() {
    let database = TestServer::get().await.migrated_database().await;
    for (name, statement) in STATEMENTS {
        if let Err(error) = database.client.prepare(statement).await {
            panic!("{name}: {error:?}");
        }
    }
}

#[tokio::test]
async fn migrating_twice_or_from_two_sides_at_once_changes_nothing_more() {
    let database = TestServer::get().await.empty_database().await;
    let (mut one, mut other) = (database.connect().await, database.connect().await);
    let (first, second) = tokio::join!(migrate(&mut one), migrate(&mut other));
    let (first, second) = (first.unwrap().applied, second.unwrap().applied);
    assert!(first.is_empty() != second.is_empty(), "{first:?} {second:?}");
    assert!(migrate(&mut one).await.unwrap().applied.is_empty());
}

#[tokio::test]
async fn a_changed_applied_file_is_refused() {
    let database = TestServer::get().await.migrated_database().await;
    let change = "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 1";
    database.client.batch_execute(change).await.unwrap();
    let error = migrate(&mut database.connect().await).await.unwrap_err().to_string();
    assert!(error.contains("V1__seed_tables"), "{error}");
}

#[tokio::test]
async fn rows_of_an_existing_database_stay_are_active_and_log_in() {
    let database = TestServer::get().await.empty_database().await;
    database.client.batch_execute(SEED).await.unwrap();
    let insert = "INSERT INTO users_v2 (username, password, mfa, gendate) VALUES ('old', 'x', NULL, 1), ('Pair', 'x', NULL, 1), ('pair', 'x', NULL, 1)";
    database.client.batch_execute(insert).await.unwrap();
    let report = migrate(&mut database.connect().await).await.unwrap();
    assert_eq!(report.same_name_but_for_case, [3]);
    let rows =
        "SELECT string_agg(concat_ws(' ', id, username, state, origin, username_key), ', ' ORDER BY id) FROM users_v2";
    let expected = "1 old active external old, 2 Pair active external pair, 3 pair active external";
    assert_eq!(database.text(rows).await, expected);

    let app = TestApp::start_on(database, Settings::default()).await;
    let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let seal = |clear: &str| app.keyring().seal(clear, 0).as_str().to_owned();
    let update = "UPDATE users_v2 SET password = $1, mfa = $2, gendate = $3 WHERE username = 'old'";
    let row: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&seal("motdepasse123"), &seal(secret), &now_at_start()];
    app.database.client.execute(update, &row).await.unwrap();
    app.generate_password("old").await.problem(403, "proof_required");
    app.generate_password("OLD").await.problem(409, "username_taken");
    app.generate_password("PAIR").await.problem(409, "username_taken");
    let uri = format!("otpauth://totp/x:y?secret={secret}&issuer=x");
    Person::new(&app, "old", "motdepasse123".to_owned(), &uri).log_in().await.ok();

    app.generate_password("new").await.ok();
    assert_eq!(app.database.text("SELECT state FROM users_v2 WHERE username = 'new'").await, "provisional");
}
