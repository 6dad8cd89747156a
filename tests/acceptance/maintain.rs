//! `POST /function/maintain`, and the same as a command: what is older than it is kept goes, and nothing else.

use cofrap_tests::{ADMIN_TOKEN, Settings, TestApp};
use http::Method;
use serde_json::{Value, json};

/// Functions whose clock is the database's.
async fn start() -> TestApp {
    start_with(Settings::default()).await
}

async fn start_with(settings: Settings) -> TestApp {
    let app = TestApp::start_with(settings).await;
    let now = app.database.count("SELECT extract(epoch FROM now())::int8").await;
    app.clock.advance(now - app.clock.now());
    app
}

/// One batch; what it did.
async fn batch(app: &TestApp) -> Value {
    let answer = app.call_as(ADMIN_TOKEN, "maintain", json!({})).await;
    assert_eq!(answer.status, 200, "{}", app.log().lines().last().unwrap_or_default());
    answer.ok().0
}

/// Waits until every row is counted: what is not stays, and the server's other databases have transactions, too.
async fn counted(app: &TestApp) {
    let schema = cofrap_migrations::schema_of(cofrap_migrations::SCHEMA_VERSION);
    let is_counted =
        "SELECT (counted_to > coalesce((SELECT max(xact_id) FROM auth_logs_v2), 0))::int4::int8 FROM attempt_rollup";
    for _ in 0..100 {
        app.database.count(&format!("SELECT {schema}.roll_up(10000)")).await;
        if app.database.count(is_counted).await == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("a transaction lasts for ten seconds");
}

/// Makes what there is so many days older.
async fn age(app: &TestApp, days: i64) {
    counted(app).await;
    let age = format!(
        "UPDATE auth_logs_v2 SET created_at = created_at - interval '{days} days';
         UPDATE users_v2 SET generated_at = generated_at - 86400 * {days}"
    );
    app.database.client.batch_execute(&age).await.unwrap();
}

/// A refusal, a success and a refused request of the operator's, in that order.
async fn three_kinds(app: &TestApp) {
    app.authenticate("nobody", "x", "123456").await.problem(401, "invalid_credentials");
    app.generate_password("michel.ranu").await.ok();
    app.administer("nobody", "disable").await.problem(404, "unknown_user");
}

async fn kinds(app: &TestApp) -> String {
    app.database
        .text(
            "SELECT coalesce(string_agg(concat_ws(' ', action, success), ', ' ORDER BY id), '') FROM auth_logs_v2
             WHERE action <> 'maintained'",
        )
        .await
}

#[tokio::test]
async fn only_the_operator_asks_and_what_it_did_is_in_the_audit() {
    let app = start().await;
    app.call("maintain", json!({})).await.problem(401, "invalid_token");
    app.call_as("wrong", "maintain", json!({})).await.problem(401, "invalid_token");
    let done = batch(&app).await;
    assert_eq!((&done["more"], &done["clocks_differ"]), (&json!(false), &json!(false)), "{done}");
    let row = "SELECT concat_ws(' ', success, details ->> 'proof', details ->> 'refusals', details ->> 'route') FROM auth_logs_v2
               WHERE action = 'maintained' AND success";
    assert_eq!(app.database.text(row).await, "t operator 0 maintain");
    let without = app.restart_with(Settings::variable("admin_token", "")).await;
    without.call("maintain", json!({})).await.problem(404, "not_found");
}

#[tokio::test]
async fn refusals_are_kept_90_days_and_what_was_done_400() {
    let app = start().await;
    three_kinds(&app).await;
    age(&app, 89).await;
    batch(&app).await;
    assert_eq!(kinds(&app).await, "login f, password_generated t, account_disabled f");
    age(&app, 2).await;
    assert_eq!(batch(&app).await["refusals_removed"], 1);
    assert_eq!(kinds(&app).await, "password_generated t, account_disabled f");
    age(&app, 308).await;
    assert_eq!(batch(&app).await["actions_removed"], 0);
    age(&app, 2).await;
    // The first batch's own row is of 312 days ago.
    assert_eq!(batch(&app).await["actions_removed"], 2);
    assert_eq!(kinds(&app).await, "");
}

#[tokio::test]
async fn days_are_the_operator_s_to_set_and_0_keeps_all() {
    let app = start_with(Settings::variable("audit_refusals_days", "30").and("audit_actions_days", "0")).await;
    three_kinds(&app).await;
    age(&app, 31).await;
    batch(&app).await;
    assert_eq!(kinds(&app).await, "password_generated t, account_disabled f");
    age(&app, 3_000).await;
    batch(&app).await;
    assert_eq!(kinds(&app).await, "password_generated t, account_disabled f");
}

/// Who has the operator's token, and nothing else, removes nothing that is younger than 30 days.
#[tokio::test]
async fn nothing_of_the_last_30_days_goes_whatever_is_asked() {
    let app = start().await;
    three_kinds(&app).await;
    age(&app, 29).await;
    let schema = cofrap_migrations::schema_of(cofrap_migrations::SCHEMA_VERSION);
    let call = format!(
        "SELECT {schema}.maintain('maintained', NULL, NULL, NULL, {}, NULL, NULL, NULL, NULL, 0, 0, NULL, 0, 0, 0, NULL, '', 'keep',
                                  0, 0, 0, 0, '', 1, 1, 1000)",
        app.clock.now()
    );
    app.database.client.query_one(&call, &[]).await.unwrap();
    assert_eq!(kinds(&app).await, "login f, password_generated t, account_disabled f");
}

#[tokio::test]
async fn while_the_clocks_differ_nothing_goes() {
    let app = start().await;
    three_kinds(&app).await;
    let rows = kinds(&app).await;
    for seconds in [365 * 86_400, -365 * 86_400 - 301] {
        app.clock.advance(seconds);
        let done = batch(&app).await;
        assert_eq!(done["clocks_differ"], true, "{done}");
        assert_eq!(done["partitions_dropped"], json!([]));
        assert_eq!(kinds(&app).await, rows);
        assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 1);
    }
    assert_eq!(app.database.count("SELECT count(*) FROM auth_logs_v2 WHERE details ->> 'masked' IS NOT NULL").await, 0);
}

/// What was typed for a name may be a password, or say who somebody is.
#[tokio::test]
async fn names_that_nobody_had_become_digests_after_30_days_and_nothing_else_changes() {
    let app = start().await;
    let _ = app.active_account("michel.ranu").await;
    for name in ["michel.ranu", "somebody.else"] {
        app.authenticate(name, "x", "123456").await.problem(401, "invalid_credentials");
    }
    let rest = "SELECT md5(string_agg((to_jsonb(l) - 'details' || (l.details - 'username' - 'masked'))::text, '|' ORDER BY id)) FROM auth_logs_v2 l
                WHERE action <> 'maintained'";
    age(&app, 29).await;
    assert_eq!(batch(&app).await["names_masked"], 0);
    age(&app, 2).await;
    let before = app.database.text(rest).await;
    assert_eq!(batch(&app).await["names_masked"], 1);
    assert_eq!(batch(&app).await["names_masked"], 0);
    assert_eq!(app.database.text(rest).await, before);
    let names = "SELECT string_agg(left(details ->> 'username', 11), ' ' ORDER BY id) FROM auth_logs_v2 WHERE action = 'login' AND NOT success";
    assert!(app.database.text(names).await.starts_with("michel.ranu digest:"));
    assert!(!app.database.dump().await.contains("somebody.else"));
}

/// What other programs write does not stop it, and a name that an account has stays, whoever wrote the row.
#[tokio::test]
async fn rows_of_other_programs_are_masked_or_left_and_stop_nothing() {
    let app = start().await;
    let _ = app.active_account("michel.ranu").await;
    let mark = "digest:not-one";
    let rows = format!(
        r#"INSERT INTO auth_logs_v2 (user_id, action, success, details, created_at) VALUES
        ((SELECT id FROM users_v2), 'a', FALSE, '{{"username": "michel.ranu"}}', now() - interval '40 days'),
        (NULL, 'b', FALSE, '{{"username": "michel.ranu"}}', now() - interval '40 days'),
        (NULL, 'c', FALSE, '{{"names": {{"one.name": 1, "two.name": false}}}}', now() - interval '40 days'),
        (NULL, 'd', FALSE, '{{"names": ["listed.name"]}}', now() - interval '40 days'),
        (NULL, 'e', FALSE, '{{"username": "{mark}"}}', now() - interval '40 days')"#
    );
    app.database.client.batch_execute(&rows).await.unwrap();
    assert_eq!(batch(&app).await["names_masked"], 4);
    assert_eq!(batch(&app).await["names_masked"], 0);
    let names =
        "SELECT string_agg(details ->> 'username', ' ' ORDER BY id) FROM auth_logs_v2 WHERE action IN ('a', 'b')";
    assert_eq!(app.database.text(names).await, "michel.ranu michel.ranu");
    let dump = app.database.dump().await;
    for name in ["one.name", "two.name", "listed.name", mark] {
        assert!(!dump.contains(name), "{name}");
    }
}

/// Whoever uses an account by API version 1's functions alone, with a password and no code, uses it.
#[tokio::test]
async fn an_account_whose_password_was_right_since_stays() {
    let app = start().await;
    for name in ["used", "used.too", "unused"] {
        app.create_account(name, cofrap_tests::CHOSEN_PASSWORD).await.ok();
    }
    age(&app, 31).await;
    app.begin_login("used", cofrap_tests::CHOSEN_PASSWORD).await.ok();
    // A right password without a code is a refused login.
    app.authenticate("used.too", cofrap_tests::CHOSEN_PASSWORD, Value::Null)
        .await
        .problem(403, "mfa_enrollment_required");
    assert_eq!(batch(&app).await["accounts_removed"], json!(["unused"]));
}

#[tokio::test]
async fn accounts_that_nobody_completed_go_after_30_days_and_no_others() {
    let app = start().await;
    let _ = app.active_account("active").await;
    app.generate_password("bare").await.ok();
    app.create_account("chosen", cofrap_tests::CHOSEN_PASSWORD).await.ok();
    app.generate_password("young").await.ok();
    for name in ["touched", "disabled", "referred", "cascading"] {
        app.generate_password(name).await.ok();
    }
    app.administer("touched", "end-sessions").await.ok();
    app.administer("disabled", "disable").await.ok();
    app.call_as(ADMIN_TOKEN, "generate-password-v2", json!({ "username": "operators" })).await.ok();
    let foreign = "INSERT INTO users_v2 (username, password, gendate) VALUES ('foreign', 'x', 0);
                   CREATE TABLE orders (id SERIAL, buyer INTEGER REFERENCES users_v2 (id));
                   CREATE TABLE carts (id SERIAL, buyer INTEGER REFERENCES users_v2 (id) ON DELETE CASCADE);
                   INSERT INTO orders (buyer) SELECT id FROM users_v2 WHERE username = 'referred';
                   INSERT INTO carts (buyer) SELECT id FROM users_v2 WHERE username = 'cascading'";
    app.database.client.batch_execute(foreign).await.unwrap();
    // As `migrate` does with tables that it finds.
    app.database.client.batch_execute("GRANT SELECT ON orders, carts TO cofrap_template_keeper").await.unwrap();
    age(&app, 31).await;
    app.database
        .client
        .batch_execute("UPDATE users_v2 SET generated_at = generated_at + 86400 * 2 WHERE username = 'young'")
        .await
        .unwrap();
    let done = batch(&app).await;
    assert_eq!(done["accounts_removed"], json!(["bare", "chosen"]), "{done}");
    let left = "SELECT string_agg(username, ' ' ORDER BY username) FROM users_v2";
    assert_eq!(app.database.text(left).await, "active cascading disabled foreign operators referred touched young");
    assert_eq!(app.database.count("SELECT count(*) FROM carts").await, 1);
    let row = "SELECT details -> 'accounts' ->> 0 FROM auth_logs_v2 WHERE details ? 'accounts'";
    assert_eq!(app.database.text(row).await, "bare");
    // The name is free again.
    app.generate_password("bare").await.ok();
}

/// Whoever waited for an account would have others wait for those that are gone already.
#[tokio::test]
async fn an_account_that_somebody_holds_is_left_for_the_next_time() {
    let app = start().await;
    for name in ["first", "held", "last"] {
        app.generate_password(name).await.ok();
    }
    age(&app, 31).await;
    let holder = app.database.connect().await;
    holder.batch_execute("BEGIN; SELECT FROM users_v2 WHERE username = 'held' FOR KEY SHARE").await.unwrap();
    assert_eq!(batch(&app).await["accounts_removed"], json!(["first", "last"]));
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(batch(&app).await["accounts_removed"], json!(["held"]));
}

#[tokio::test]
async fn a_table_that_nobody_here_may_read_keeps_the_accounts() {
    let app = start().await;
    app.generate_password("bare").await.ok();
    let foreign = "CREATE TABLE carts (id SERIAL, buyer INTEGER REFERENCES users_v2 (id) ON DELETE CASCADE)";
    app.database.client.batch_execute(foreign).await.unwrap();
    age(&app, 31).await;
    assert_eq!(batch(&app).await["accounts_removed"], json!([]));
}

/// Otherwise one table of another program would keep all of them.
#[tokio::test]
async fn migrating_lets_maintenance_see_who_refers_to_an_account() {
    let database = cofrap_tests::TestServer::get().await.empty_database().await;
    database.migrate().await;
    let foreign = "CREATE TABLE carts (id SERIAL, buyer INTEGER REFERENCES users_v2 (id) ON DELETE CASCADE)";
    database.client.batch_execute(foreign).await.unwrap();
    database.migrate().await;
    let may_look = "SELECT has_table_privilege(current_database() || '_keeper', 'carts', 'SELECT')::int4::int8";
    assert_eq!(database.count(may_look).await, 1);
}

#[tokio::test]
async fn many_at_once_remove_each_row_once() {
    let app = std::sync::Arc::new(start().await);
    let fill = "INSERT INTO auth_logs_v2 (action, success, details, created_at)
                SELECT 'login', FALSE, '{\"username\": \"n\"}', now() - interval '100 days' FROM generate_series(1, 5000);
                INSERT INTO throttles SELECT concat('s', n), '', 1, 0, 0, 0 FROM generate_series(1, 5000) n";
    app.database.client.batch_execute(fill).await.unwrap();
    counted(&app).await;
    let (mut refusals, mut counters) = (0, 0);
    for _ in 0..6 {
        let batches: Vec<_> = (0..4)
            .map(|_| {
                let app = std::sync::Arc::clone(&app);
                tokio::spawn(async move { batch(&app).await })
            })
            .collect();
        for done in batches {
            let done = done.await.unwrap();
            refusals += done["refusals_removed"].as_i64().unwrap();
            counters += done["counters_removed"].as_i64().unwrap();
        }
    }
    assert_eq!((refusals, counters), (5000, 5000));
    assert_eq!(batch(&app).await["more"], false);
}

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_whole() {
    let app = start().await;
    let list = "SELECT string_agg(name, ' ' ORDER BY starts) FROM cofrap_audit.partitions";
    let before = app.database.text(list).await;
    // The first, which ends in two months, and what is left of the next three.
    assert!((2..=3).contains(&before.split(' ').count()), "{before}");
    // The last one was lost, and a row came early.
    let furthest = before.split(' ').next_back().unwrap();
    let lose = format!(
        "DROP TABLE cofrap_audit.{furthest};
         INSERT INTO auth_logs_v2 (action, success, created_at) VALUES ('early', TRUE, date_trunc('month', now()) + interval '3 months 1 day')"
    );
    app.database.client.batch_execute(&lose).await.unwrap();
    let done = batch(&app).await;
    assert_eq!(done["partitions_made"], json!([furthest]), "{done}");
    assert_eq!(
        app.database.text("SELECT tableoid::regclass::text FROM auth_logs_v2 WHERE action = 'early'").await,
        format!("cofrap_audit.{furthest}")
    );
    // A month of two years ago.
    let old = "CREATE TABLE cofrap_audit.month_2024_01 (LIKE auth_logs_v2 INCLUDING DEFAULTS);
               ALTER TABLE auth_logs_v2 DETACH PARTITION cofrap_audit.FIRST;
               ALTER TABLE auth_logs_v2 ATTACH PARTITION cofrap_audit.month_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
               ALTER TABLE cofrap_audit.month_2024_01 OWNER TO cofrap_template_keeper;
               INSERT INTO auth_logs_v2 (action, success, created_at) VALUES ('old', TRUE, '2024-01-15')";
    let first = before.split(' ').next().unwrap();
    app.database.client.batch_execute(&old.replace("FIRST", first)).await.unwrap();
    // Not before its rows are counted.
    app.database.client.batch_execute("UPDATE attempt_rollup SET counted_to = 1").await.unwrap();
    let schema = cofrap_migrations::schema_of(cofrap_migrations::SCHEMA_VERSION);
    let keep = format!("SELECT {schema}.keep_partitions('', {}, 90, 400)", app.clock.now());
    assert!(!app.database.text(&keep).await.contains("2024_01\"]"));
    counted(&app).await;
    let done = batch(&app).await;
    assert_eq!(done["partitions_dropped"], json!(["month_2024_01"]), "{done}");
}

/// A row that other programs write without a time gets one; one of no month is kept, too.
#[tokio::test]
async fn other_programs_insert_as_before() {
    let app = start().await;
    let rows = "INSERT INTO auth_logs_v2 (user_id, action, ip_address, user_agent, success, details) VALUES (NULL, 'a', '192.0.2.1', 'x', TRUE, NULL);
                INSERT INTO auth_logs_v2 (action, success, created_at) VALUES ('b', FALSE, NULL), ('c', FALSE, '2199-01-01'), ('d', TRUE, '1999-01-01');
                INSERT INTO auth_logs_v2 VALUES (DEFAULT, NULL, 'e', NULL, NULL, TRUE, '{}', now())";
    app.database.client.batch_execute(rows).await.unwrap();
    let all = "SELECT string_agg(concat_ws(' ', action, created_at > now() - interval '1 day'), ', ' ORDER BY id) FROM auth_logs_v2";
    assert_eq!(app.database.text(all).await, "a t, b t, c t, d f, e t");
    // The queries of the specification.
    for query in [
        "SELECT * FROM auth_logs_v2 ORDER BY created_at DESC LIMIT 10",
        "SELECT action, success, COUNT(*) FROM auth_logs_v2 WHERE created_at > NOW() - INTERVAL '24 hours' GROUP BY action, success",
    ] {
        assert!(!app.database.client.query(query, &[]).await.unwrap().is_empty(), "{query}");
    }
    app.request_as(ADMIN_TOKEN, Method::GET, "/function/audit-log").await.ok();
}
