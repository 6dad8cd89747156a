//! Taking over the databases of the functions before: API version 1's `users`, and `users_v2` with rows of every kind.

mod awkward;

use awkward::awkward_database;
use cofrap_accounts::UnixTime;
use cofrap_crypto::Keyring;
use cofrap_take_over::{Expire, Finding, Remark, TakenOver, plan_take_over, take_over};
use cofrap_tests::{Database, KEY, Person, Settings, TestApp, TestServer, now_at_start};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use serde_json::json;
use tokio_postgres::types::ToSql;

/// The tables as the Python functions of both generations made them.
const SCHEMA: &str = "
    CREATE TABLE users (
        id SERIAL PRIMARY KEY,
        username VARCHAR(150) UNIQUE,
        password TEXT,
        mfa TEXT,
        gendate BIGINT,
        expired BOOLEAN
    );
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
    );";

pub(super) const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

pub(super) fn now() -> UnixTime {
    UnixTime::from_seconds(now_at_start())
}

pub(super) fn keyring() -> Keyring {
    KEY.parse().unwrap()
}

pub(super) fn fernet(clear: &str) -> String {
    keyring().seal(clear, 0, cofrap_crypto::SecretColumn::Password.of("")).token().to_owned()
}

/// A token under a key that is lost.
pub(super) fn lost(clear: &str) -> String {
    let other: Keyring = "b3RoZXIga2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3Q=".parse().unwrap();
    other.seal(clear, 0, cofrap_crypto::SecretColumn::Password.of("")).token().to_owned()
}

pub(super) fn bcrypt(clear: &str) -> String {
    bcrypt::hash_with_salt(clear, 4, *b"a salt for tests").unwrap().to_string()
}

/// A database with both tables, and rows in them.
pub(super) async fn old_database() -> Database {
    let database = TestServer::get().await.empty_database().await;
    database.client.batch_execute(SCHEMA).await.unwrap();
    database
}

pub(super) async fn add_first(
    database: &Database,
    name: Option<&str>,
    password: Option<&str>,
    mfa: Option<&str>,
) -> i64 {
    let insert = "INSERT INTO users (username, password, mfa, gendate, expired) VALUES ($1, $2, $3, $4, FALSE)
                  RETURNING id::bigint";
    let row: [&(dyn ToSql + Sync); 4] = [&name, &password, &mfa, &now_at_start()];
    database.client.query_one(insert, &row).await.unwrap().get(0)
}

pub(super) async fn add_second(database: &Database, name: &str, password: &str, mfa: Option<&str>) -> i64 {
    let insert = "INSERT INTO users_v2 (username, password, mfa, gendate) VALUES ($1, $2, $3, $4) RETURNING id::bigint";
    let row: [&(dyn ToSql + Sync); 4] = [&name, &password, &mfa, &now_at_start()];
    database.client.query_one(insert, &row).await.unwrap().get(0)
}

/// The schema, then the take-over, as `cargo xtask migrate` does them.
pub(super) async fn run(database: &Database, expire: Expire) -> TakenOver {
    let mut client = database.connect().await;
    database.migrate().await;
    take_over(&mut client, &keyring(), &mut UnwrapErr(SysRng), now(), expire).await.unwrap()
}

pub(super) async fn started(database: Database) -> TestApp {
    TestApp::start_on(database, Settings::without_limits()).await
}

pub(super) fn said(report: &TakenOver) -> Vec<String> {
    report.findings.iter().map(|Finding { table, id, what }| format!("{table}:{id} {what:?}")).collect()
}

pub(super) async fn table(database: &Database, name: &str) -> String {
    database
        .text(&format!("SELECT coalesce(string_agg(to_jsonb(t)::text, E'\\n' ORDER BY id), '') FROM {name} t"))
        .await
}

pub(super) fn person<'a>(app: &'a TestApp, name: &str, password: &str) -> Person<'a> {
    Person::new(app, name, password.to_owned(), &format!("otpauth://totp/x:y?secret={SECRET}&issuer=x"))
}

#[tokio::test]
async fn people_of_the_first_generation_log_in_with_what_they_have_through_both_generations() {
    let database = old_database().await;
    add_first(&database, Some("hash"), Some(&bcrypt("Motdepasse-1")), Some(&fernet(SECRET))).await;
    add_first(
        &database,
        Some("older.hash"),
        Some(&bcrypt("Motdepasse-1").replace("$2b$", "$2y$")),
        Some(&fernet(SECRET)),
    )
    .await;
    add_first(&database, Some("clear"), Some("Motdepasse-1"), Some("jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp")).await;
    add_first(&database, Some("sealed"), Some(&fernet("Motdepasse-1")), Some(&fernet(SECRET))).await;
    let report = run(&database, Expire::Nobody).await;
    assert_eq!(
        said(&report),
        [
            "users:1 TakenOver",
            "users:2 TakenOver",
            "users:3 TakenOver",
            "users:3 PasswordInClear",
            "users:3 SecondFactorInClear",
            "users:4 TakenOver",
        ]
    );
    assert!(report.has(Remark::Hashes));
    let app = started(database).await;
    // Bound to their rows from the start.
    let app = app.restart_with(Settings::without_limits().and("accept_unbound_rows", "false")).await;
    let accounts = "SELECT string_agg(DISTINCT concat_ws(' ', state, origin, gendate, expired), ', ') FROM users_v2";
    assert_eq!(app.database.text(accounts).await, format!("active external {} f", now_at_start()));
    for name in ["hash", "older.hash", "clear", "sealed"] {
        app.begin_login(name, "Motdepasse-2").await.problem(401, "invalid_credentials");
        let mut person = person(&app, name, "Motdepasse-1");
        person.log_in_by_steps().await.ok();
        person.log_in().await.ok();
        app.call("generate-password", json!({ "username": name })).await.problem(403, "proof_required");
        app.generate_password(name).await.problem(403, "proof_required");
        app.generate_mfa(name).await.problem(403, "proof_required");
    }
    let ours = "SELECT concat_ws('\\n', (SELECT string_agg(to_jsonb(u)::text, '\\n') FROM users_v2 u),
                       (SELECT string_agg(to_jsonb(h)::text, '\\n') FROM password_history_v2 h),
                       (SELECT string_agg(to_jsonb(l)::text, '\\n') FROM auth_logs_v2 l))";
    let ours = app.database.text(ours).await.to_lowercase();
    assert!(!ours.contains("motdepasse") && !ours.contains("jbsw"), "{ours}");
    let hash = bcrypt("Motdepasse-1");
    app.begin_login("hash", &hash).await.problem(401, "invalid_credentials");
    app.authenticate("hash", &hash, "000000").await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn who_has_no_second_factor_enrols_with_the_current_password() {
    let database = old_database().await;
    add_first(&database, Some("empty"), Some(&bcrypt("Motdepasse-1")), Some("")).await;
    add_first(&database, Some("null"), Some("Motdepasse-1"), None).await;
    add_second(&database, "second", &fernet("Motdepasse-1"), Some("")).await;
    let report = run(&database, Expire::Nobody).await;
    assert!(said(&report).contains(&"users:1 NotEnrolled".to_owned()), "{report:?}");
    assert!(said(&report).contains(&"users:2 NotEnrolled".to_owned()), "{report:?}");
    let app = started(database).await;
    for name in ["empty", "null", "second"] {
        let body = |password: &str| json!({ "username": name, "password": password });
        for function in ["generate-2fa", "generate-2fa-v2"] {
            app.call(function, json!({ "username": name })).await.problem(403, "proof_required");
            app.call(function, body("wrong")).await.problem(401, "invalid_credentials");
        }
        for function in ["generate-password", "generate-password-v2"] {
            app.call(function, body("Motdepasse-1")).await.problem(403, "proof_required");
        }
        let begun = app.begin_login(name, "Motdepasse-1").await.ok().0;
        assert_eq!(begun["2fa_setup_required"], json!(true));
        let mut person = person(&app, name, "Motdepasse-1");
        person.scan(&app.call("generate-2fa", body("Motdepasse-1")).await.ok().read_image("qr_base64"));
        person.log_in_by_steps().await.ok();
    }
}

#[tokio::test]
async fn nothing_is_dropped_the_source_stays_and_the_second_time_changes_nothing() {
    let (database, _) = awkward_database().await;
    let source = table(&database, "users").await;
    let report = run(&database, Expire::Nobody).await;
    assert_eq!(report.findings.iter().filter(|finding| format!("{:?}", finding.what) == "TakenOver").count(), 16);
    assert_eq!(database.count("SELECT count(*) FROM users_v2").await, 21);
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2 WHERE action = 'account_imported'").await, 16);
    let kept = "SELECT count(*) FROM password_history_v2 h JOIN users_v2 u ON u.id = h.user_id
                WHERE h.password = u.password AND imported_from IS NOT NULL AND h.password_binding <> u.password_binding";
    assert_eq!(database.count(kept).await, 10);
    let after = (table(&database, "users_v2").await, table(&database, "password_history_v2").await);
    assert!(!after.0.contains("Motdepasse") && !after.0.contains(SECRET) && !after.1.contains("Motdepasse"));

    let again = run(&database, Expire::Nobody).await;
    assert_eq!(again.before, 16);
    let open: Vec<_> = said(&again);
    let still = [
        "users_v2:2 UnreadablePassword",
        "users_v2:2 UnreadableSecondFactor",
        "users_v2:11 UnreadableSecondFactor",
        "users:1 LongName",
        "users:2 NoName",
        "users:3 Duplicate",
    ];
    assert!(still.iter().all(|line| open.contains(&(*line).to_owned())), "{open:#?}");
    assert!(!open.iter().any(|line| line.contains("TakenOver") || line.contains("InClear")), "{open:#?}");
    assert_eq!((table(&database, "users_v2").await, table(&database, "password_history_v2").await), after);
    assert_eq!(table(&database, "users").await, source);
}

#[tokio::test]
async fn expire_has_everybody_of_the_first_generation_renew_at_the_first_complete_login_also_afterwards() {
    for at_once in [true, false] {
        let database = old_database().await;
        add_first(&database, Some("enrolled"), Some(&bcrypt("Motdepasse-1")), Some(SECRET)).await;
        add_first(&database, Some("unenrolled"), Some("Motdepasse-1"), None).await;
        add_second(&database, "second", &fernet("Motdepasse-1"), Some(&fernet(SECRET))).await;
        if !at_once {
            assert_eq!(run(&database, Expire::Nobody).await.expired, 0);
        }
        assert_eq!(run(&database, Expire::Imported).await.expired, 2);
        assert_eq!(run(&database, Expire::Imported).await.expired, 0);
        let app = started(database).await;
        person(&app, "second", "Motdepasse-1").log_in().await.ok();
        for name in ["enrolled", "unenrolled"] {
            let mut person = person(&app, name, "Motdepasse-1");
            if name == "unenrolled" {
                let body = json!({ "username": name, "password": "Motdepasse-1" });
                person.scan(&app.call("generate-2fa", body).await.ok().read_image("qr_base64"));
            }
            let expired = person.log_in_by_steps().await.problem(403, "password_expired");
            let body = json!({ "username": name, "renewal_token": expired["renewal_token"] });
            let changed = app.call("generate-password", body.clone()).await.ok().0;
            person.password = changed["password"].as_str().unwrap().to_owned();
            if name == "enrolled" {
                person.log_in_by_steps().await.problem(403, "password_expired");
                let expired = person.log_in().await.problem(403, "password_expired");
                let body = json!({ "username": name, "renewal_token": expired["renewal_token"] });
                person.scan(&app.call("generate-2fa", body).await.ok().read_image("qr_base64"));
            }
            app.clock.advance(30);
            person.log_in_by_steps().await.ok();
        }
        // Who has renewed is left alone.
        let mut client = app.database.connect().await;
        let now = UnixTime::from_seconds(app.clock.now());
        let again = take_over(&mut client, &keyring(), &mut UnwrapErr(SysRng), now, Expire::Imported).await.unwrap();
        assert_eq!(again.expired, 0);
    }
}

#[tokio::test]
async fn rows_without_a_binding_are_taken_over_where_the_functions_no_longer_open_them() {
    let database = old_database().await;
    add_first(&database, Some("sealed"), Some(&fernet("Motdepasse-1")), Some(&fernet(SECRET))).await;
    let mut client = database.connect().await;
    database.migrate().await;
    let strict = keyring().with_unbound(cofrap_crypto::Unbound::Refused);
    let report = take_over(&mut client, &strict, &mut UnwrapErr(SysRng), now(), Expire::Nobody).await.unwrap();
    assert_eq!(said(&report), ["users:1 TakenOver"]);
    let settings = Settings::without_limits().and("accept_unbound_rows", "false");
    let app = TestApp::start_on(database, settings).await;
    person(&app, "sealed", "Motdepasse-1").log_in_by_steps().await.ok();
}

#[tokio::test]
async fn who_registers_a_name_meanwhile_has_it_and_the_row_is_a_duplicate() {
    let database = old_database().await;
    for name in ["michel.ranu", "eve"] {
        add_first(&database, Some(name), Some("Motdepasse-1"), None).await;
    }
    database.migrate().await;
    let wire = cofrap_tests::Wire::to(database.port()).await;
    let mut client = database.connect_through(&wire).await;
    let app = started(database).await;
    let (mut rng, keyring) = (UnwrapErr(SysRng), keyring());
    let taking = take_over(&mut client, &keyring, &mut rng, now(), Expire::Nobody);
    let registering = async { app.generate_password("eve").await.ok() };
    let report = wire.interrupt("INSERT INTO users_v2", Box::pin(taking), registering).await.unwrap();
    assert_eq!(
        said(&report),
        ["users:1 TakenOver", "users:1 PasswordInClear", "users:1 NotEnrolled", "users:2 Duplicate"]
    );
    let kept = "SELECT string_agg(concat_ws(' ', username, imported_from), ', ' ORDER BY username) FROM users_v2";
    assert_eq!(app.database.text(kept).await, "eve, michel.ranu 1");
}

#[tokio::test]
async fn hashes_move_to_another_key_like_any_secret() {
    let database = old_database().await;
    add_first(&database, Some("first"), Some(&bcrypt("Motdepasse-1")), Some(SECRET)).await;
    add_second(&database, "second", &bcrypt("Motdepasse-1"), Some(&fernet(SECRET))).await;
    run(&database, Expire::Nobody).await;
    let app = started(database).await;
    app.chosen_account("chosen").await;
    let other = "b3RoZXIga2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3Q=";
    let app = app.restart_with(Settings::variable("encryption_key", &format!("{other},{}", *KEY))).await;
    loop {
        let batch = app.call_as(cofrap_tests::ADMIN_TOKEN, "rotate-keys", json!({})).await.ok().0;
        if batch["rows_left"] == 0 {
            assert_eq!(batch["unreadable"], json!([]));
            break;
        }
    }
    app.call_as(cofrap_tests::ADMIN_TOKEN, "rotate-keys", json!({})).await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM encryption_keys").await, 1);
    let app = app.restart_with(Settings::variable("encryption_key", other).and("accept_unbound_rows", "false")).await;
    for name in ["first", "second"] {
        person(&app, name, "Motdepasse-1").log_in_by_steps().await.ok();
    }
    app.begin_login("chosen", cofrap_tests::CHOSEN_PASSWORD).await.ok();
}

#[tokio::test]
async fn a_hash_that_was_copied_to_another_row_does_not_authenticate() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    app.create_account("michel.ranu", "Kalt-Regen-42").await.ok();
    app.create_account("eve", "Warm-Sonne-43").await.ok();
    let copy = "UPDATE users_v2 v SET password = e.password, password_key = e.password_key, password_binding = e.password_binding
                FROM users_v2 e WHERE v.username = 'michel.ranu' AND e.username = 'eve'";
    app.database.client.batch_execute(copy).await.unwrap();
    app.begin_login("michel.ranu", "Warm-Sonne-43").await.problem(401, "invalid_credentials");
    app.begin_login("eve", "Warm-Sonne-43").await.ok();
}

#[tokio::test]
async fn a_secret_that_is_replaced_meanwhile_is_not_written_over() {
    let database = old_database().await;
    add_second(&database, "michel.ranu", "Motdepasse-1", None).await;
    database.migrate().await;
    let wire = cofrap_tests::Wire::to(database.port()).await;
    let mut client = database.connect_through(&wire).await;
    let (mut rng, keyring) = (UnwrapErr(SysRng), keyring());
    let taking = take_over(&mut client, &keyring, &mut rng, now(), Expire::Nobody);
    let replaced = database.client.batch_execute("UPDATE users_v2 SET password = 'Motdepasse-2'");
    wire.interrupt("UPDATE users_v2 t SET password", taking, replaced).await.unwrap();
    assert_eq!(database.text("SELECT password::text FROM users_v2").await, "Motdepasse-2");
}

#[tokio::test]
async fn a_number_that_is_somebody_else_s_by_now_is_named() {
    let database = old_database().await;
    add_first(&database, Some(&"m".repeat(50)), Some("Motdepasse-1"), None).await;
    run(&database, Expire::Nobody).await;
    database.client.batch_execute("UPDATE users SET username = 'somebody.else'").await.unwrap();
    let report = run(&database, Expire::Nobody).await;
    assert_eq!((said(&report), report.rows_in_need()), (vec!["users:1 OtherName".to_owned()], 1));
}

#[tokio::test]
async fn expire_also_has_those_renew_who_replaced_one_credential_only() {
    let database = old_database().await;
    add_first(&database, Some("michel.ranu"), Some(&bcrypt("Motdepasse-1")), Some(&fernet(SECRET))).await;
    run(&database, Expire::Nobody).await;
    let app = started(database).await;
    let mut michel = person(&app, "michel.ranu", "Motdepasse-1");
    let body = michel.with_credentials();
    let changed = app.call("generate-password", body).await.ok().0;
    michel.password = changed["password"].as_str().unwrap().to_owned();
    michel.log_in().await.ok();
    let mut client = app.database.connect().await;
    let at = UnixTime::from_seconds(app.clock.now());
    let planned = plan_take_over(&client, &keyring(), at, Expire::Imported).await.unwrap();
    let done = take_over(&mut client, &keyring(), &mut UnwrapErr(SysRng), at, Expire::Imported).await.unwrap();
    assert_eq!((planned.expired, done.expired), (1, 1));
    michel.log_in().await.problem(403, "password_expired");
}

#[tokio::test]
async fn functions_and_a_take_over_do_not_wait_for_each_other_in_a_circle() {
    let database = old_database().await;
    let id = add_second(&database, "michel.ranu", "Motdepasse-1", None).await;
    add_first(&database, Some("first"), Some("Motdepasse-1"), None).await;
    database.migrate().await;
    let wire = cofrap_tests::Wire::to(database.port()).await;
    let mut client = database.connect_through(&wire).await;
    let (mut rng, keyring) = (UnwrapErr(SysRng), keyring());
    let first_key = keyring.first_id().as_str().to_owned();
    let taking = take_over(&mut client, &keyring, &mut rng, now(), Expire::Nobody);
    // As a function does it: the account's row, then the key.
    let function = database.connect().await;
    let locks = async {
        function.batch_execute("BEGIN").await.unwrap();
        function.execute("UPDATE users_v2 SET otp_failures = 1 WHERE id::bigint = $1", &[&id]).await.unwrap();
        let register = "INSERT INTO encryption_keys (id, registered_at) VALUES ($1, 0) ON CONFLICT DO NOTHING";
        function.execute(register, &[&first_key]).await.unwrap();
        function.batch_execute("COMMIT").await.unwrap();
    };
    wire.interrupt("UPDATE users_v2 t SET password", taking, locks).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM users_v2 WHERE password_key IS NOT NULL").await, 2);
}

#[tokio::test]
async fn a_key_that_the_functions_know_may_not_be_missing() {
    let database = old_database().await;
    add_first(&database, Some("first"), Some("Motdepasse-1"), None).await;
    run(&database, Expire::Nobody).await;
    let other: Keyring = "b3RoZXIga2V5IG9mIHRoZSBhY2NlcHRhbmNlIHRlc3Q=".parse().unwrap();
    let mut client = database.connect().await;
    assert!(plan_take_over(&client, &other, now(), Expire::Nobody).await.is_err());
    assert!(take_over(&mut client, &other, &mut UnwrapErr(SysRng), now(), Expire::Nobody).await.is_err());
}

#[tokio::test]
async fn a_table_users_of_another_program_is_left_alone() {
    let database = TestServer::get().await.empty_database().await;
    database
        .client
        .batch_execute("CREATE TABLE users (id SERIAL, email TEXT); INSERT INTO users (email) VALUES ('x')")
        .await
        .unwrap();
    let report = run(&database, Expire::Imported).await;
    assert!(report.has(Remark::ForeignUsers) && report.findings.is_empty());
    assert_eq!(database.count("SELECT count(*) FROM users_v2").await, 0);
}
