//! The database's functions: whose they are, what the functions' role can do with them and what not, and what becomes of rows and
//! roles that are not as they should be.

use cofrap_crypto::SharedSecret;
use cofrap_migrations::{
    Explained, FORMER_ROLE, SCHEMA_VERSION, know_operator, login_of, migrate, retirable, retire, schema_of,
};
use cofrap_tests::{Database, Settings, TestApp, TestServer};
use http::Method;

async fn database() -> Database {
    TestServer::get().await.migrated_database().await
}

/// What removes rows of the audit, and accounts, belongs to who owns the audit.
const OF_THE_KEEPER: [&str; 5] = ["is_referred", "keep_partitions", "maintain", "mask_names", "remove_accounts"];

/// Partitions have names of their months, and who refers to an account is in the catalogue; one function compares the clocks.
const EXCEPTIONS: [(&str, &str); 3] =
    [("keep_partitions", "EXECUTE "), ("is_referred", "EXECUTE "), ("clock_offset", "clock_timestamp")];

#[tokio::test]
async fn every_function_is_the_owner_s_looks_nowhere_else_and_is_nobody_s_to_call_but_the_login_s() {
    let database = database().await;
    let functions = "
        SELECT p.proname::text, r.rolname::text, r.rolcanlogin OR r.rolsuper OR r.rolcreatedb OR r.rolcreaterole, p.prosecdef,
               array_to_string(p.proconfig, '; '), array_to_string(p.proacl, ' '),
               p.proargnames[array_upper(p.proargnames, 1)] = 'answer', p.proretset, p.prosrc
        FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
        WHERE p.pronamespace = $1::text::regnamespace";
    let rows = database.client.query(functions, &[&schema_of(SCHEMA_VERSION)]).await.unwrap();
    assert!(rows.len() > 20);
    for row in rows {
        let name: &str = row.get(0);
        let owner = if OF_THE_KEEPER.contains(&name) { "cofrap_template_keeper" } else { "cofrap_template_owner" };
        assert_eq!(row.get::<_, &str>(1), owner, "{name}");
        assert!(!row.get::<_, bool>(2) && row.get::<_, bool>(3) && !row.get::<_, bool>(7), "{name}");
        assert!(row.get::<_, &str>(4).starts_with("search_path=pg_catalog, pg_temp"), "{name}");
        let called = if row.get::<_, Option<bool>>(6) == Some(true) {
            Some(format!("cofrap_template_functions=X/{owner}"))
        } else {
            None
        };
        // The keeper's functions call the others.
        let keeper = format!("cofrap_template_keeper=X/{owner}");
        let own = format!("{owner}=X/{owner}");
        let mut acl: Vec<_> = [keeper, own].into_iter().chain(called).collect();
        acl.sort_unstable();
        acl.dedup();
        let mut granted: Vec<_> = row.get::<_, &str>(5).split(' ').collect();
        granted.sort_unstable();
        assert_eq!(granted, acl, "{name}");
        let body: &str = row.get(8);
        for banned in ["EXECUTE ", "now()", "CURRENT_", "clock_timestamp", "RETURN QUERY", "SET statement_timeout"] {
            assert!(!body.contains(banned) || EXCEPTIONS.contains(&(name, banned)), "{name}: {banned}");
        }
        for table in ["users_v2", "password_history_v2", "auth_logs_v2", "throttles", "encryption_keys"] {
            for (at, _) in body.match_indices(table) {
                let before = &body[..at];
                let is_name = before.ends_with(['\'', '_']) || body[at + table.len()..].starts_with('_');
                assert!(before.ends_with("public.") || is_name, "{name}: {table} is not qualified");
            }
        }
    }
}

#[tokio::test]
async fn the_functions_role_executes_its_functions_and_nothing_else() {
    let database = database().await;
    database
        .client
        .batch_execute("INSERT INTO users_v2 (username, password, gendate) VALUES ('canary', 'x', 0)")
        .await
        .unwrap();
    let functions = database.connect_as_the_functions().await;
    let schema = schema_of(SCHEMA_VERSION);
    let find = format!("SELECT {schema}.find('canary', NULL, '', '', '', '')");
    let found: String = functions.query_one(&find, &[]).await.unwrap().get(0);
    assert!(found.contains(r#""username":"canary""#));
    for refused in [
        "SELECT FROM users_v2",
        "SELECT FROM password_history_v2",
        "SELECT FROM auth_logs_v2",
        "SELECT FROM throttles",
        "SELECT FROM encryption_keys",
        "SELECT FROM locked_attempts",
        "SELECT FROM attempt_totals",
        "SELECT FROM audited_attempts",
        "SELECT FROM cofrap_audit.other",
        "DROP TABLE cofrap_audit.other",
        "SET ROLE cofrap_template_keeper",
        "SELECT FROM refinery_schema_history",
        "INSERT INTO auth_logs_v2 (action, success) VALUES ('login', TRUE)",
        "UPDATE auth_logs_v2 SET success = TRUE",
        "DELETE FROM auth_logs_v2",
        "UPDATE users_v2 SET password = 'x'",
        "DELETE FROM users_v2",
        "DELETE FROM throttles",
        "TRUNCATE auth_logs_v2",
        "SELECT nextval('users_v2_id_seq')",
        "SELECT setval('users_v2_id_seq', 1)",
        "SELECT last_value FROM users_v2_id_seq",
        "ALTER TABLE users_v2 ADD COLUMN x TEXT",
        "DROP TABLE users_v2",
        "CREATE TABLE x ()",
        "CREATE TEMPORARY TABLE x ()",
        "CREATE SCHEMA x",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE x",
        "CREATE EXTENSION pgcrypto",
        "SET ROLE postgres",
        "SET ROLE cofrap_template_owner",
        "COPY users_v2 TO PROGRAM 'true'",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        &format!("SELECT {schema}.stored_keys()"),
        &format!("SELECT {schema}.note_attempt('login', 'x', NULL, NULL, 0, NULL, NULL, NULL, TRUE, NULL)"),
        &format!("SELECT {schema}.catch_up('users_v2')"),
        &format!("DROP FUNCTION {schema}.find"),
    ] {
        let error = functions.batch_execute(refused).await.expect_err(refused);
        let code = error.code().unwrap_or_else(|| panic!("{refused}: {error:?}")).code();
        assert_eq!(code, "42501", "{refused}: {error}");
    }
}

/// All components log in as the same role. What lists names or secrets is for those that have the operator's token.
#[tokio::test]
async fn without_the_operator_s_token_the_functions_role_lists_nothing() {
    let app = TestApp::start().await;
    let michel = app.active_account("michel.ranu").await.username;
    let functions = app.database.connect_as_the_functions().await;
    let schema = schema_of(SCHEMA_VERSION);
    let calls = [
        format!("SELECT {schema}.read_audit($1, NULL, NULL, 500)"),
        format!("SELECT {schema}.find_stale($1, 'none', 0, 0, 50, 10000)"),
        format!("SELECT {schema}.find_names($1, 0, 500)"),
        format!("SELECT {schema}.mask_names($1, 0, '[]')"),
        format!("SELECT {schema}.keep_partitions($1, 0, 30, 30)"),
        format!("SELECT {schema}.count_accounts($1, 0, 1)"),
    ];
    // The first who says that they are the operator is.
    app.administer(&michel, "unlock").await.ok();
    for call in &calls {
        for proof in [None, Some(""), Some("guessed")] {
            let answer: String = functions.query_one(call, &[&proof]).await.unwrap().get(0);
            assert!(
                answer == "\"not_the_operator\"" || proof.is_none() && !answer.contains("michel"),
                "{call}: {answer}"
            );
        }
    }
    let kept = "SELECT operator_digest FROM installation";
    let digest = app.database.text(kept).await;
    for (call, is_done) in [(&calls[0], false), (&calls[0], true)] {
        let proof = SharedSecret::new(cofrap_tests::ADMIN_TOKEN.to_owned().into()).unwrap().proof();
        let proof = if is_done { proof.as_str() } else { digest.as_str() };
        let answer: String = functions.query_one(call, &[&proof]).await.unwrap().get(0);
        assert_eq!(answer.contains("michel"), is_done, "{answer}");
    }
    // Another token than the one that the database knows: said in the log, and `migrate` tells it.
    let other = "another token of the operator, long enough";
    let changed = app.restart_with(Settings::variables([("admin_token".to_owned(), other.to_owned())].into())).await;
    changed.request_as(other, Method::GET, "/function/audit-log").await.problem(503, "unavailable");
    assert!(changed.log().contains("run `migrate` with this one as admin_token"), "{}", changed.log());
    know_operator(&app.database.client, SharedSecret::new(other.to_owned().into()).ok().as_ref()).await.unwrap();
    changed.request_as(other, Method::GET, "/function/audit-log").await.ok();
    app.request_as(cofrap_tests::ADMIN_TOKEN, Method::GET, "/function/audit-log").await.problem(503, "unavailable");
}

/// What is stored without a binding would be another program's, and open.
#[tokio::test]
async fn a_secret_that_the_functions_role_stores_without_a_binding_never_opens() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let functions = app.database.connect_as_the_functions().await;
    let token = app.fernet("a password of the thief's");
    let call = format!(
        "SELECT {}.create_account('login', 'thief', NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, 0, NULL, 0, 0, 0, NULL, '', 'keep', 0, 0, 0, 0,
                                  'thief', $1, NULL, NULL, NULL, 'active', 'external', FALSE, 'x', FALSE, 'p', '')",
        schema_of(SCHEMA_VERSION)
    );
    functions.query_one(&call, &[&token]).await.unwrap();
    let bindings = "SELECT count(*) FROM users_v2 WHERE username = 'thief' AND password_binding = ''";
    assert_eq!(app.database.count(bindings).await, 1);
    app.authenticate("thief", "a password of the thief's", "123456").await.problem(401, "invalid_credentials");
    michel.log_in().await.ok();
}

#[tokio::test]
async fn the_role_of_one_database_opens_no_other() {
    let (one, other) = (TestServer::get().await.empty_database().await, TestServer::get().await.empty_database().await);
    for database in [&one, &other] {
        migrate(&mut database.connect().await, |_| {}).await.unwrap();
    }
    let name = "SELECT current_database()::text";
    let (one_name, other_name) = (one.text(name).await, other.text(name).await);
    let may = format!(
        "SELECT concat_ws(' ', has_database_privilege('{0}', '{1}', 'CONNECT'), has_database_privilege('{0}', '{2}', 'CONNECT'))",
        login_of(&one_name),
        one_name,
        other_name
    );
    assert_eq!(one.text(&may).await, "t f");
}

/// Whoever may make objects in `public` makes none that the functions use.
#[tokio::test]
async fn a_hostile_operator_in_public_changes_nothing() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let plant = "
        CREATE FUNCTION public.always(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT TRUE';
        CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.always);
        CREATE FUNCTION public.always(varchar, text) RETURNS boolean LANGUAGE sql AS 'SELECT TRUE';
        CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = public.always);
        CREATE FUNCTION public.row_to_json(public.users_v2) RETURNS json LANGUAGE sql AS $$ SELECT '{}'::json $$;
        CREATE FUNCTION public.coalesce_all(text) RETURNS text LANGUAGE sql AS 'SELECT $1'";
    app.database.client.batch_execute(plant).await.unwrap();
    app.authenticate("somebody.else", &michel.password, "123456").await.problem(401, "invalid_credentials");
    app.clock.advance(30);
    michel.log_in().await.ok();
}

/// What the server says of a violation holds the row: none of it is answered or logged.
#[tokio::test]
async fn of_a_violation_nothing_is_said_that_is_stored() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let before = app.database.text("SELECT to_jsonb(u)::text FROM users_v2 u").await;
    for constraint in [
        "ALTER TABLE auth_logs_v2 ADD CONSTRAINT odd CHECK (success IS NULL) NOT VALID",
        "ALTER TABLE users_v2 ADD CONSTRAINT odd CHECK (login_counter < 0) NOT VALID",
    ] {
        app.database.client.batch_execute(constraint).await.unwrap();
        app.clock.advance(30);
        let answer = michel.log_in().await;
        let body = answer.body.clone();
        answer.problem(503, "unavailable");
        let said = [app.log(), body].concat();
        for stored in ["gAAAAA", "Failing row", &michel.password] {
            assert!(!said.contains(stored), "{constraint}: {stored}: {said}");
        }
        for table in ["auth_logs_v2", "users_v2"] {
            let drop = format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS odd");
            app.database.client.batch_execute(&drop).await.unwrap();
        }
    }
    assert_eq!(app.database.text("SELECT to_jsonb(u)::text FROM users_v2 u").await, before);
    app.clock.advance(30);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_sequence_that_lags_makes_no_name_taken_and_no_login_fail_and_health_sees_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let sequences = async || {
        let health = app.request(Method::GET, "/function/health").await.ok().0;
        health["sequences"].as_str().unwrap().to_owned()
    };
    assert_eq!(sequences().await, "ok");
    let lag = "SELECT setval(pg_get_serial_sequence(t, 'id'), 1, FALSE)
               FROM unnest(ARRAY['users_v2', 'password_history_v2', 'auth_logs_v2']) t";
    app.database.client.batch_execute(lag).await.unwrap();
    assert_eq!(sequences().await, "weak: users_v2, password_history_v2, auth_logs_v2");
    app.clock.advance(30);
    michel.log_in().await.ok();
    app.generate_password("somebody.new").await.ok();
    app.generate_password("SOMEBODY.NEW").await.problem(409, "username_taken");
    assert_eq!(
        app.database.text("SELECT string_agg(concat(id, username), ' ' ORDER BY id) FROM users_v2").await,
        "1michel.ranu 2somebody.new"
    );
    assert_eq!(sequences().await, "ok");

    app.database.client.batch_execute("SELECT setval('users_v2_id_seq', 2000000000)").await.unwrap();
    assert_eq!(sequences().await, "weak: users_v2");
}

#[tokio::test]
async fn migrating_sets_sequences_that_lag_and_gives_names_their_keys() {
    let database = TestServer::get().await.empty_database().await;
    database.migrate().await;
    let restore = "INSERT INTO users_v2 (id, username, password, gendate)
                   SELECT n, concat('Name ', n), 'x', 0 FROM generate_series(1, 12000) n;
                   INSERT INTO users_v2 (id, username, password, gendate) VALUES (12001, 'NAME 7', 'x', 0)";
    database.client.batch_execute(restore).await.unwrap();
    assert_eq!(database.migrate().await.named, 12_000);
    let next = "SELECT nextval('users_v2_id_seq')";
    assert_eq!(database.count(next).await, 12_002);
    let keys = "SELECT concat_ws(' ', count(*), count(username_key), min(id) FILTER (WHERE username_key IS NULL)) FROM users_v2";
    assert_eq!(database.text(keys).await, "12001 12000 12001");
}

/// The rights of the version before stay until they are retired: its components run during a roll-out.
#[tokio::test]
async fn what_the_version_before_uses_stays_until_it_is_retired() {
    let database = TestServer::get().await.empty_database().await;
    database.migrate().await;
    let before = format!(
        "DO $$ BEGIN CREATE ROLE {FORMER_ROLE} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         DO $$ BEGIN CREATE ROLE former_functions LOGIN PASSWORD 'former' IN ROLE {FORMER_ROLE};
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT USAGE ON SCHEMA public TO {FORMER_ROLE};
         GRANT SELECT, INSERT, UPDATE ON users_v2, password_history_v2 TO {FORMER_ROLE};
         GRANT SELECT, INSERT ON auth_logs_v2 TO {FORMER_ROLE};
         GRANT SELECT, INSERT, UPDATE, DELETE ON throttles TO {FORMER_ROLE};
         GRANT SELECT, INSERT, DELETE ON encryption_keys TO {FORMER_ROLE};
         GRANT SELECT ON refinery_schema_history TO {FORMER_ROLE};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {FORMER_ROLE};
         CREATE SCHEMA cofrap_4"
    );
    database.client.batch_execute(&before).await.unwrap();
    database.migrate().await;
    let former = database.connect_as("former_functions", "former").await;
    for (name, statement) in statements_of_version_4() {
        let done = former.batch_execute(&statement).await;
        done.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    let taken = retirable(&database.client).await.unwrap();
    assert_eq!(taken.len(), 2, "{taken:#?}");
    assert!(taken[0].contains("cofrap_4") && taken[1].contains(FORMER_ROLE) && taken[1].contains("former_functions"));
    retire(&database.client).await.unwrap();
    assert!(retirable(&database.client).await.unwrap().is_empty());
    let refused = former.batch_execute("SELECT FROM users_v2").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501");
    let schemas = "SELECT string_agg(nspname::text, ' ') FROM pg_namespace WHERE nspname ~ '^cofrap_[0-9]'";
    assert_eq!(database.text(schemas).await, schema_of(SCHEMA_VERSION));
    // What runs today goes on; the rows above are of another key.
    database.client.batch_execute("TRUNCATE users_v2, encryption_keys, throttles, auth_logs_v2 CASCADE").await.unwrap();
    let app = TestApp::start_on(database, Settings::default()).await;
    app.generate_password("michel.ranu").await.ok();
}

/// Components of version 9 call functions of their own, which today's tables must suit.
#[tokio::test]
async fn the_functions_of_version_9_work_beside_today_s() {
    let database = TestServer::get().await.migrated_database().await;
    let owner = "cofrap_template_owner";
    let fixture = include_str!("../fixtures/functions_of_version_9.sql");
    let (functions, calls) = fixture.split_once("\n-- call: ").unwrap();
    let made = format!("CREATE SCHEMA cofrap_9 AUTHORIZATION {owner}; SET ROLE {owner}; {functions}; RESET ROLE");
    database.client.batch_execute(&made).await.unwrap();
    database.migrate().await;
    let keeper =
        database.text("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'auth_logs_v2'::regclass").await;
    let kept = OF_THE_KEEPER.map(|name| format!("ALTER FUNCTION cofrap_9.{name} OWNER TO {keeper};")).concat();
    let kept = format!("GRANT USAGE, CREATE ON SCHEMA cofrap_9 TO {keeper}; {kept}");
    database.client.batch_execute(&kept).await.unwrap();
    let rows = "INSERT INTO encryption_keys VALUES ('k1', 0), ('k2', 0);
                INSERT INTO users_v2 (id, username, username_key, password, password_key, mfa, mfa_key, standing_key, gendate, state,
                                      password_generation, mfa_generation)
                VALUES (7, 'n7', 'n7', 'x', 'k1', 'y', 'k1', 'k1', 0, 'active', 1, 1);
                INSERT INTO auth_logs_v2 (user_id, action, success, details)
                VALUES (7, 'login', TRUE, '{\"username\": \"n7\"}'), (NULL, 'login', FALSE, '{\"username\": \"nobody\"}')";
    database.client.batch_execute(rows).await.unwrap();
    let mut done = 0;
    for call in calls.split("\n-- call: ") {
        let (name, statement) = call.split_once('\n').unwrap();
        // As the owner may: that the login of the functions may call what is granted to it is the same for every version.
        database.client.batch_execute(&format!("BEGIN; SET LOCAL ROLE {owner}")).await.unwrap();
        let answer = database.client.query_one(statement, &[]).await;
        let answer: String = answer.unwrap_or_else(|error| panic!("{name}: {error:?}")).get(0);
        database.client.batch_execute("ROLLBACK").await.unwrap();
        let refuses = ["\"overtaken\"", "\"too_many_attempts\""].contains(&answer.as_str());
        assert!(!refuses, "{name}: {answer}");
        done += 1;
    }
    assert_eq!(done, 36);
    let taken = retirable(&database.client).await.unwrap();
    assert!(taken.len() == 1 && taken[0].contains("cofrap_9"), "{taken:#?}");
    // What version 6 wrote without a key goes with it, and names of its last accounts are compared as today's.
    let of_then = "UPDATE users_v2 SET username = 'ｎ7', username_key = 'ｎ7', generated_from = repeat('a', 64),
                                       login_places = ARRAY[repeat('b', 64), 'keyed'];
                   INSERT INTO throttles VALUES (repeat('c', 64), '', 1, 0, 0, 0), ('keyed', '', 1, 0, 0, 0)";
    database.client.batch_execute(of_then).await.unwrap();
    retire(&database.client).await.unwrap();
    let left = "SELECT concat_ws(' ', username_key, generated_from, array_to_string(login_places, ','), t.subject) FROM users_v2, throttles t";
    assert_eq!(database.text(left).await, "n7 keyed keyed");
    assert!(retirable(&database.client).await.unwrap().is_empty());
}

/// Where components of both versions run, a right guess waits for wrong ones that those of before count: it must see that it was not alone.
#[tokio::test]
async fn whoever_counts_a_failure_writes_the_account_s_row_in_the_version_before_too() {
    let mut database = TestServer::get().await.empty_database().await;
    migrate(&mut database.client, |_| {}).await.unwrap();
    let fixture = include_str!("../fixtures/functions_of_version_9.sql");
    let functions = fixture.split_once("\n-- call: ").unwrap().0;
    // As it was when version 10 came.
    let before = format!(
        "CREATE SCHEMA cofrap_9; {functions};
         CREATE INDEX idx_users_v2_unfinished ON users_v2 (generated_at) WHERE state = 'provisional' AND login_counter = 0;
         DROP SCHEMA {} CASCADE; DELETE FROM refinery_schema_history WHERE version = 10",
        schema_of(SCHEMA_VERSION)
    );
    database.client.batch_execute(&before).await.unwrap();
    migrate(&mut database.client, |_| {}).await.unwrap();
    let account = "INSERT INTO users_v2 (id, username, password, gendate) VALUES (7, 'n7', 'x', 0)";
    database.client.batch_execute(account).await.unwrap();
    for schema in ["cofrap_9".to_owned(), schema_of(SCHEMA_VERSION)] {
        let version = database.text("SELECT xmin::text FROM users_v2").await;
        let refuse = format!(
            "SELECT {schema}.refuse('login', 'n7', NULL, NULL, 1000, 7, NULL, NULL, NULL, 0, 0, 's2', 1, 30, 300, 's3', '', 'count', 5, 30, 900,
                                    2592000, 'wrong_password', FALSE, FALSE, NULL, 20)"
        );
        assert_eq!(database.text(&refuse).await, r#"{"done":null}"#, "{schema}");
        assert_ne!(database.text("SELECT xmin::text FROM users_v2").await, version, "{schema}");
    }
}

/// What components of schema version 4 sent for a generation, a login and a refusal, their parameters as literals.
fn statements_of_version_4() -> Vec<(String, String)> {
    include_str!("../fixtures/statements_of_version_4.sql")
        .split("-- statement: ")
        .skip(1)
        .map(|part| part.split_once('\n').map(|(name, text)| (name.to_owned(), text.to_owned())).unwrap())
        .collect()
}

#[tokio::test]
async fn made_from_other_files_or_for_another_owner_the_functions_are_made_again() {
    let database = TestServer::get().await.empty_database().await;
    database.migrate().await;
    let schema = schema_of(SCHEMA_VERSION);
    let count = format!("SELECT count(*) FROM pg_proc WHERE pronamespace = '{schema}'::regnamespace");
    let whole = database.count(&count).await;
    for change in [
        format!("COMMENT ON SCHEMA {schema} IS 'others'; DROP FUNCTION {schema}.find"),
        format!("ALTER SCHEMA {schema} OWNER TO CURRENT_USER; DROP FUNCTION {schema}.refuse"),
    ] {
        database.client.batch_execute(&change).await.unwrap();
        assert_eq!(database.count(&count).await, whole - 1);
        database.migrate().await;
        assert_eq!(database.count(&count).await, whole);
    }
}

/// A login writes its account's row beside the former version, and no index: PostgreSQL does so as long as none speaks of what it writes.
#[tokio::test]
async fn no_index_of_the_accounts_speaks_of_what_a_login_writes() {
    let indexes = "SELECT coalesce(string_agg(pg_get_indexdef(i.indexrelid), '; '), '') FROM pg_index i
                   WHERE i.indrelid = 'users_v2'::regclass
                         AND pg_get_indexdef(i.indexrelid) ~ '(mfa_last_step|otp_failures|login_counter|login_places|updated_at)'";
    assert_eq!(database().await.text(indexes).await, "");
}

/// Where a table grows, none of its rows is looked at in vain.
#[tokio::test]
async fn no_call_scans_a_whole_table_that_grows() {
    let explained = database().await.explain().await;
    for call in cofrap_edge::CALLS {
        let name = call.split("cofrap_").nth(1).unwrap().split(['.', '(']).nth(1).unwrap();
        assert!(
            explained.iter().any(|explained| explained.call.starts_with(&format!("{name}("))),
            "{name} is not explained"
        );
    }
    for Explained { call, plans } in explained {
        assert!(plans.contains("Query Text"), "{call}: {plans}");
        // Gauges over all accounts are counted by maintenance, so that no scrape does.
        if call.starts_with("count_accounts(") {
            continue;
        }
        for table in ["users_v2", "password_history_v2", "before_", "throttles"] {
            assert!(!plans.contains(&format!("Seq Scan on {table}")), "{call}: {plans}");
        }
    }
}

/// Where Debian's `postgresql-15-plpgsql-check` is installed, it finds what only running every line would show.
#[tokio::test]
async fn plpgsql_check_finds_no_error_in_any_function() {
    let database = database().await;
    let is_there = "SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'";
    if database.count(is_there).await == 0 {
        return;
    }
    database.client.batch_execute("CREATE EXTENSION plpgsql_check").await.unwrap();
    let found = "SELECT coalesce(string_agg(concat(p.proname, ': ', c.message), E'\\n'), '')
                 FROM pg_proc p CROSS JOIN LATERAL plpgsql_check_function_tb(
                     p.oid, CASE WHEN p.prorettype = 'trigger'::regtype THEN 'cofrap_audit.other'::regclass ELSE 0 END, other_warnings => FALSE, extra_warnings => FALSE,
                                                                             performance_warnings => FALSE) c
                 WHERE p.pronamespace::regnamespace::text LIKE 'cofrap%' AND c.level = 'error'";
    assert_eq!(database.text(found).await, "");
}
