//! The audit of version 8 becomes the first partition of today's, with its rows, its rights and everybody who writes it.

use cofrap_migrations::{SCHEMA_VERSION, migrate, migrate_tables_to, schema_of};
use cofrap_tests::{Database, TestServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FUNCTIONS_OF_VERSION_8: &str = include_str!("../fixtures/functions_of_version_8.sql");

/// A database as version 8 left it, with some rows in the audit.
async fn of_version_8(rows: i64) -> Database {
    let database = TestServer::get().await.empty_database().await;
    migrate_tables_to(&mut database.connect().await, 8).await.unwrap();
    let fill = format!(
        "CREATE SCHEMA cofrap_8; {FUNCTIONS_OF_VERSION_8};
         INSERT INTO users_v2 (id, username, password, gendate) VALUES (7, 'n7', 'x', 0);
         INSERT INTO auth_logs_v2 (user_id, action, success, details, created_at)
             SELECT CASE n % 2 WHEN 0 THEN 7 END, 'login', n % 3 = 0, jsonb_build_object('username', CASE n % 2 WHEN 0 THEN 'n7' ELSE 'nobody' END),
                    timestamp '2025-01-01' + n * interval '1 minute'
             FROM generate_series(1, {rows}) n"
    );
    database.client.batch_execute(&fill).await.unwrap();
    database
}

#[tokio::test]
async fn rows_numbers_rights_and_the_functions_of_before_stay() {
    let database = of_version_8(1000).await;
    let role = format!("writer_of_{}", database.text("SELECT current_database()::text").await);
    let more = format!(
        "INSERT INTO auth_logs_v2 (action, success, created_at) VALUES ('timeless', TRUE, NULL), ('beyond', TRUE, '2199-01-01');
         CREATE ROLE {role}; GRANT INSERT, SELECT ON auth_logs_v2 TO {role}; GRANT USAGE ON SEQUENCE auth_logs_v2_id_seq TO {role};
         ALTER SEQUENCE auth_logs_v2_id_seq RESTART 2147483647"
    );
    database.client.batch_execute(&more).await.unwrap();
    let rows = "SELECT md5(string_agg(concat_ws('|', id, user_id, action, ip_address, user_agent, success, details, created_at), '/' ORDER BY id))
                FROM auth_logs_v2 WHERE action <> 'timeless'";
    let before = database.text(rows).await;
    migrate(&mut database.connect().await, |_| {}).await.unwrap();
    assert_eq!(database.text(rows).await, before);
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2 WHERE created_at IS NULL").await, 0);
    assert_eq!(
        database.text("SELECT tableoid::regclass::text FROM auth_logs_v2 WHERE action = 'beyond'").await,
        "cofrap_audit.other"
    );
    let columns = "SELECT string_agg(attname::text, ' ' ORDER BY attnum) FROM pg_attribute
                   WHERE attrelid = 'auth_logs_v2'::regclass AND attnum > 0 AND NOT attisdropped";
    let seed = "id user_id action ip_address user_agent success details created_at xact_id";
    assert_eq!(database.text(columns).await, seed);
    // Past the last number of 32 bits, as who had the right.
    let insert = format!(
        "SET ROLE {role}; INSERT INTO auth_logs_v2 (action, success) VALUES ('a', TRUE), ('b', TRUE); RESET ROLE"
    );
    database.client.batch_execute(&insert).await.unwrap();
    assert_eq!(database.count("SELECT max(id) FROM auth_logs_v2").await, 2_147_483_648);
    database.client.batch_execute("DELETE FROM users_v2").await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2 WHERE user_id IS NOT NULL").await, 0);
    // What components of version 8 call.
    for call in ["read_audit('', 'nobody', NULL, 50)", "read_audit('', NULL, NULL, 50)", "read_health()"] {
        assert!(database.text(&format!("SELECT cofrap_8.{call}")).await.len() > 50, "{call}");
    }
    // No index was built twice, and none is missing.
    let indexes = "SELECT string_agg(DISTINCT n::text, ' ') FROM (SELECT count(*) AS n FROM pg_index i JOIN pg_inherits p ON p.inhrelid = i.indrelid
                   WHERE p.inhparent = 'auth_logs_v2'::regclass AND i.indisvalid GROUP BY p.inhrelid) counted";
    assert_eq!(database.text(indexes).await, "7");
}

/// As in a cluster: the tables' owner makes roles, and is no superuser.
#[tokio::test]
async fn who_makes_roles_and_is_no_superuser_migrates() {
    let server = TestServer::get().await;
    let database = server.empty_database().await;
    let name = database.text("SELECT current_database()::text").await;
    let owner = format!("plain_{name}");
    let give = format!("CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD 'plain'; ALTER DATABASE {name} OWNER TO {owner}");
    database.client.batch_execute(&give).await.unwrap();
    let mut plain = database.connect_as(&owner, "plain").await;
    migrate(&mut plain, |_| {}).await.unwrap();
    // Again, which changes nothing and waits for nobody.
    let reader = database.connect().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM auth_logs_v2").await.unwrap();
    migrate(&mut plain, |_| {}).await.unwrap();
    reader.batch_execute("COMMIT").await.unwrap();
    let owners = "SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relnamespace = 'cofrap_audit'::regnamespace";
    assert_eq!(database.text(owners).await, format!("{name}_keeper"));
    let schema = schema_of(SCHEMA_VERSION);
    let maintained = format!("SELECT {schema}.keep_partitions('', extract(epoch FROM now())::int8, 90, 400)");
    assert!(database.text(&maintained).await.contains("done"));
}

#[tokio::test]
async fn who_cannot_give_the_audit_away_is_told_before_anything_is_prepared() {
    let database = TestServer::get().await.empty_database().await;
    let name = database.text("SELECT current_database()::text").await;
    let role = format!("guest_{name}");
    let give = format!(
        "CREATE ROLE {role} LOGIN CREATEROLE PASSWORD 'plain';
         GRANT CREATE, CONNECT ON DATABASE {name} TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}"
    );
    database.client.batch_execute(&give).await.unwrap();
    let mut guest = database.connect_as(&role, "plain").await;
    let told = migrate(&mut guest, |_| {}).await.unwrap_err();
    assert!(format!("{told:#}").contains("WITH GRANT OPTION"), "{told:#}");
    let left = "SELECT count(*) FROM pg_class WHERE relname IN ('audit_beyond', 'before_id')";
    assert_eq!(database.count(left).await, 0);
}

/// Whoever reads for long keeps nobody from writing: the lock is asked for again and again, each time for half a second.
#[tokio::test]
async fn a_reader_that_lasts_has_nobody_wait() {
    let database = of_version_8(1000).await;
    let (reader, writer) = (database.connect().await, database.connect().await);
    reader.batch_execute("BEGIN; SELECT count(*) FROM auth_logs_v2").await.unwrap();
    let mut runner = database.connect().await;
    let migrating = tokio::spawn(async move { migrate(&mut runner, |_| {}).await.map(|_| ()) });
    writer.batch_execute("SET statement_timeout = '2s'").await.unwrap();
    for _ in 0..40 {
        writer.batch_execute("INSERT INTO auth_logs_v2 (action, success) VALUES ('meanwhile', TRUE)").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!migrating.is_finished());
    reader.batch_execute("COMMIT").await.unwrap();
    migrating.await.unwrap().unwrap();
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2 WHERE action = 'meanwhile'").await, 40);
}

/// While it is prepared others write, and are never kept waiting for long.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long others wait is measured")]
async fn others_go_on_writing_meanwhile() {
    let database = of_version_8(60_000).await;
    let (is_over, writer) = (Arc::new(AtomicBool::new(false)), database.connect().await);
    let seen = Arc::clone(&is_over);
    let writing = tokio::spawn(async move {
        let (mut written, mut longest) = (0_i64, Duration::ZERO);
        while !seen.load(Ordering::SeqCst) {
            let started = Instant::now();
            writer
                .batch_execute("INSERT INTO auth_logs_v2 (user_id, action, success) VALUES (7, 'meanwhile', TRUE)")
                .await
                .unwrap();
            written += 1;
            longest = longest.max(started.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        (written, longest)
    });
    migrate(&mut database.connect().await, |_| {}).await.unwrap();
    is_over.store(true, Ordering::SeqCst);
    let (written, longest) = writing.await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2 WHERE action = 'meanwhile'").await, written);
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2").await, 60_000 + written);
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[tokio::test]
async fn what_was_cut_off_is_taken_up_again() {
    let database = of_version_8(100).await;
    let half = "ALTER TABLE auth_logs_v2 ADD COLUMN wide_id BIGINT, ADD COLUMN xact_id BIGINT;
                UPDATE auth_logs_v2 SET wide_id = id WHERE id < 50;
                CREATE INDEX before_account ON auth_logs_v2 (user_id, wide_id);
                CREATE INDEX before_refusals ON auth_logs_v2 (created_at) WHERE NOT success;
                UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'before_refusals'::regclass;
                CREATE TABLE audit_beyond (LIKE auth_logs_v2 INCLUDING DEFAULTS);
                INSERT INTO audit_beyond (id, wide_id, action, success, created_at) VALUES (1000, 1000, 'beyond then', TRUE, '2026-01-01')";
    database.client.batch_execute(half).await.unwrap();
    // Whose attempts they are was another key, and one account is gone.
    let key = "ALTER TABLE auth_logs_v2 DROP CONSTRAINT auth_logs_v2_user_id_fkey;
               INSERT INTO auth_logs_v2 (id, user_id, action, success) VALUES (1001, 99, 'gone', TRUE)";
    database.client.batch_execute(key).await.unwrap();
    migrate(&mut database.connect().await, |_| {}).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2").await, 102);
    database.client.batch_execute("DELETE FROM users_v2").await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM auth_logs_v2 WHERE user_id IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_view_of_somebody_s_is_named_and_nothing_is_done() {
    let database = of_version_8(10).await;
    database
        .client
        .batch_execute("CREATE VIEW daily AS SELECT created_at::date, count(*) FROM auth_logs_v2 GROUP BY 1")
        .await
        .unwrap();
    let refused = migrate(&mut database.connect().await, |_| {}).await.unwrap_err();
    assert!(format!("{refused:#}").contains("which daily would not survive"), "{refused:#}");
    assert_eq!(
        database.count("SELECT count(*) FROM pg_class WHERE oid = 'auth_logs_v2'::regclass AND relkind = 'r'").await,
        1
    );
    database.client.batch_execute("DROP VIEW daily").await.unwrap();
    for (added, name, taken_away) in [
        (
            "ALTER TABLE auth_logs_v2 ENABLE ROW LEVEL SECURITY",
            "row level security",
            "ALTER TABLE auth_logs_v2 DISABLE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE auth_logs_v2 ADD COLUMN n INTEGER GENERATED ALWAYS AS (length(action)) STORED",
            "the column n, which is computed,",
            "ALTER TABLE auth_logs_v2 DROP COLUMN n",
        ),
        (
            "ALTER TABLE auth_logs_v2 ALTER COLUMN details TYPE JSON",
            "the column details of another type than jsonb",
            "ALTER TABLE auth_logs_v2 ALTER COLUMN details TYPE JSONB",
        ),
        ("CREATE TABLE more () INHERITS (auth_logs_v2)", "more", "DROP TABLE more"),
        (
            "ALTER TABLE auth_logs_v2 ADD CONSTRAINT long CHECK (length(action) < 50)",
            "the constraint long",
            "ALTER TABLE auth_logs_v2 DROP CONSTRAINT long",
        ),
    ] {
        database.client.batch_execute(added).await.unwrap();
        let refused = migrate(&mut database.connect().await, |_| {}).await.expect_err(added);
        assert!(format!("{refused:#}").contains(name), "{added}: {refused:#}");
        database.client.batch_execute(taken_away).await.unwrap();
    }
    migrate(&mut database.connect().await, |_| {}).await.unwrap();
}
