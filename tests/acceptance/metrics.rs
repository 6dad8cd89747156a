//! `GET /metrics`: what a monitoring system reads, exact whatever happens in between.

#![expect(clippy::float_cmp, clippy::cast_precision_loss, reason = "counts are whole numbers, far below 2^53")]

use cofrap_tests::{ADMIN_TOKEN, Settings, TestApp};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

const TOKEN: &str = "a token of the monitoring system's, long enough";

async fn start() -> TestApp {
    TestApp::start_with(Settings::variable("metrics_token", TOKEN)).await
}

/// Every series with its value, as it is written.
async fn scrape(app: &TestApp) -> BTreeMap<String, f64> {
    let page = page(app).await;
    let series = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    series
        .map(|line| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap())).unwrap())
        .collect()
}

async fn page(app: &TestApp) -> String {
    let answer = app.request_as(TOKEN, Method::GET, "/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    answer.body
}

fn attempts(series: &BTreeMap<String, f64>, labels: &str) -> f64 {
    series.get(&format!("cofrap_attempts_total{{{labels}}}")).copied().unwrap_or(0.0)
}

/// All attempts but the operator's.
fn all_attempts(series: &BTreeMap<String, f64>) -> f64 {
    series
        .iter()
        .filter(|(name, _)| name.starts_with("cofrap_attempts_total{") && !name.contains("maintain"))
        .map(|(_, value)| value)
        .sum()
}

const LOGIN: &str = r#"action="login",outcome="success",reason="",route="authenticate-user-v2""#;
const WRONG: &str = r#"action="login",outcome="refused",reason="wrong_password",route="authenticate-user-v2""#;
const NOBODY: &str = r#"action="login",outcome="refused",reason="unknown_user",route="authenticate-user-v2""#;
const LOCKED: &str = r#"action="login",outcome="refused",reason="too_many_attempts",route="authenticate-user-v2""#;

#[tokio::test]
async fn without_the_token_there_is_no_such_page() {
    let app = TestApp::start().await;
    app.request_as(TOKEN, Method::GET, "/metrics").await.problem(404, "not_found");
    let app = start().await;
    let without = app.request(Method::GET, "/metrics").await;
    without.problem(404, "not_found");
    for wrong in ["", "wrong", ADMIN_TOKEN] {
        assert_eq!(app.request_as(wrong, Method::GET, "/metrics").await.visible(), without.visible());
    }
    app.request_as(TOKEN, Method::POST, "/metrics").await.problem(405, "method_not_allowed");
    assert_eq!(app.request_as(TOKEN, Method::GET, "/metrics").await.status, 200);
}

#[tokio::test]
async fn every_family_has_help_a_type_and_a_name_by_the_conventions() {
    let app = start().await;
    let _ = app.active_account("michel").await;
    app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok();
    let page = page(&app).await;
    let families: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(families.len() > 15, "{page}");
    for family in families {
        let (name, kind) = family.split_once(' ').unwrap();
        assert!(page.contains(&format!("# HELP {name} ")), "{name}");
        assert!(name.starts_with("cofrap_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
    }
    // Prometheus' own opinion.
    let promtool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    let mut promtool = promtool.expect("promtool is installed: see CONTRIBUTING.md");
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), page.as_bytes()).unwrap();
    assert!(promtool.wait().unwrap().success(), "{page}");
}

#[tokio::test]
async fn what_is_counted_is_what_was_sent_by_two_hosts_over_restarts_floods_and_retention() {
    let app = TestApp::start_with(Settings::variable("metrics_token", TOKEN).and("audit_refusals_days", "30")).await;
    let now = app.database.count("SELECT extract(epoch FROM now())::int8").await;
    // Eight minutes follow, and maintenance wants clocks that agree to five.
    app.clock.advance(now - 240 - app.clock.now());
    let mut michel = app.active_account("michel").await;
    let other = app.restart_with(Settings::variable("metrics_token", TOKEN)).await;
    let start = scrape(&app).await;
    let (mut sent, mut last) = (BTreeMap::<&str, f64>::new(), start.clone());
    for round in 0..4 {
        for _ in 0..3 {
            app.clock.advance(30);
            michel.log_in().await.ok();
            *sent.entry(LOGIN).or_default() += 1.0;
        }
        for host in [&app, &other] {
            host.authenticate("michel", "wrong", "000000").await.problem(401, "invalid_credentials");
            host.authenticate(&format!("nobody.{round}"), "wrong", "000000").await.problem(401, "invalid_credentials");
        }
        app.clock.advance(30);
        michel.log_in().await.ok();
        *sent.entry(LOGIN).or_default() += 1.0;
        *sent.entry(WRONG).or_default() += 2.0;
        *sent.entry(NOBODY).or_default() += 2.0;
        if round == 2 {
            // Five of one name are judged.
            for _ in 0..41 {
                other.authenticate("flooded", "wrong", "000000").await;
            }
            *sent.entry(NOBODY).or_default() += 5.0;
            *sent.entry(LOCKED).or_default() += 36.0;
        }
        if round == 3 {
            // The minute is over: what counted becomes a row. Then everything that was refused is too old, and goes.
            app.let_minutes_pass().await;
            app.request_as(ADMIN_TOKEN, Method::GET, "/function/audit-log").await.ok();
            app.clock.advance(-120);
            assert_eq!(app.database.count("SELECT count(*) FROM locked_attempts").await, 0);
            let age = "UPDATE auth_logs_v2 SET created_at = created_at - interval '31 days'";
            app.database.client.batch_execute(age).await.unwrap();
            // What is not counted yet stays, while any transaction of the server's lasts.
            let left = "SELECT count(*) FROM auth_logs_v2 WHERE action = 'login' AND NOT success";
            let mut tries = 0;
            while app.database.count(left).await > 0 {
                app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok();
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                tries += 1;
                assert!(tries < 100, "{} rows are left", app.database.count(left).await);
            }
        }
        for host in [&app, &other, &app.restart_with(Settings::variable("metrics_token", TOKEN)).await] {
            let now = scrape(host).await;
            for (labels, count) in &sent {
                assert_eq!(attempts(&now, labels) - attempts(&start, labels), *count, "round {round}: {labels}");
            }
            for (name, value) in last.iter().filter(|(name, _)| name.contains("_total")) {
                assert!(now[name] >= *value, "round {round}: {name} fell");
            }
            last = now;
        }
    }
    assert_eq!(last["cofrap_throttled_total{route=\"authenticate-user-v2\"}"], 36.0);
    assert_eq!(last["cofrap_locks_total{scope=\"account\"}"], 1.0);
    assert_eq!(last["cofrap_issuances_total{credential=\"password\"}"], 1.0);
}

/// A number that was drawn early and is committed late is neither missed nor counted twice; what never commits is not counted.
#[tokio::test]
async fn a_transaction_that_lasts_is_counted_once_when_it_commits() {
    let app = start().await;
    let [late, never] = [app.database.connect().await, app.database.connect().await];
    let insert = "BEGIN; INSERT INTO auth_logs_v2 (action, success) VALUES ('foreign', TRUE)";
    late.batch_execute(insert).await.unwrap();
    never.batch_execute(insert).await.unwrap();
    let drawn = app.database.connect().await;
    drawn.batch_execute("BEGIN; SELECT nextval('auth_logs_v2_id_seq')").await.unwrap();
    for expected in 1..5 {
        app.authenticate("nobody", "x", "000000").await;
        let series = scrape(&app).await;
        assert_eq!(all_attempts(&series), f64::from(expected));
    }
    // The roll-up waits for the oldest one; what is scraped does not.
    let rolled_up = "SELECT coalesce(sum(total), 0)::int8 FROM attempt_totals";
    assert_eq!(app.database.count(rolled_up).await, 0);
    late.batch_execute("COMMIT").await.unwrap();
    drawn
        .batch_execute(
            "INSERT INTO auth_logs_v2 (id, action, success) VALUES (currval('auth_logs_v2_id_seq'), 'foreign', TRUE); COMMIT",
        )
        .await
        .unwrap();
    assert_eq!(all_attempts(&scrape(&app).await), 6.0);
    never.batch_execute("ROLLBACK").await.unwrap();
    let whole = app.database.count("SELECT count(*) FROM auth_logs_v2").await;
    assert_eq!(all_attempts(&scrape(&app).await), whole as f64);
    // The server's other databases have transactions, too.
    for _ in 0..100 {
        if app.database.count(rolled_up).await == whole {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        scrape(&app).await;
    }
    assert_eq!(app.database.count(rolled_up).await, whole);
}

#[tokio::test]
async fn scrapes_and_attempts_at_once_lose_nothing_and_count_nothing_twice() {
    let app = Arc::new(TestApp::start_with(Settings::without_limits().and("metrics_token", TOKEN)).await);
    let mut last = 0.0;
    for round in 1..=5 {
        let tasks: Vec<_> = (0..40)
            .map(|task| {
                let app = Arc::clone(&app);
                tokio::spawn(async move {
                    if task % 4 == 0 {
                        return all_attempts(&scrape(&app).await);
                    }
                    app.authenticate("nobody", "x", "000000").await.problem(401, "invalid_credentials");
                    0.0
                })
            })
            .collect();
        for task in tasks {
            let seen = task.await.unwrap();
            assert!(
                seen <= f64::from(round * 30) && (seen == 0.0 || seen >= last),
                "round {round}: {seen} after {last}"
            );
        }
        last = all_attempts(&scrape(&app).await);
        assert_eq!(last, f64::from(round * 30));
    }
}

#[tokio::test]
async fn gauges_say_what_maintenance_counted_and_when() {
    let app = start().await;
    let mut michel = app.active_account("michel").await;
    app.generate_password("eve").await.ok();
    app.generate_password("closed").await.ok();
    app.administer("closed", "disable").await.ok();
    assert!(!scrape(&app).await.keys().any(|name| name.starts_with("cofrap_accounts{")));
    app.clock.advance(cofrap_tests::MAX_AGE - 6 * 86_400);
    app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok();
    let counted_at = app.clock.now() as f64;
    app.clock.advance(60);
    let series = scrape(&app).await;
    for (name, value) in [
        (r#"cofrap_accounts{state="active"}"#, 1.0),
        (r#"cofrap_accounts{state="provisional"}"#, 1.0),
        (r#"cofrap_accounts{state="disabled"}"#, 1.0),
        (r#"cofrap_second_factors{state="in_force"}"#, 1.0),
        (r#"cofrap_second_factors{state="none"}"#, 2.0),
        (r#"cofrap_passwords{expires="7d"}"#, 1.0),
        (r#"cofrap_passwords{expires="expired"}"#, 0.0),
        (r#"cofrap_accounts_flagged{flag="unbound"}"#, 0.0),
        ("cofrap_accounts_counted_timestamp_seconds", counted_at),
        ("cofrap_schema_version", cofrap_migrations::SCHEMA_VERSION as f64),
        (r#"cofrap_sequence_remaining_ratio{table="auth_logs_v2"}"#, 1.0),
    ] {
        assert_eq!(series[name], value, "{name}");
    }
    let database = app.database.count("SELECT extract(epoch FROM clock_timestamp())::int8").await as f64;
    assert!((series["cofrap_clock_offset_seconds"] - (app.clock.now() as f64 - database)).abs() < 5.0);
    assert!(series["cofrap_database_connections"] >= 1.0 && series["cofrap_database_bytes"] > 1e6);
    assert!(series.iter().any(|(name, value)| name.starts_with("cofrap_secrets{") && *value == 7.0), "{series:?}");
    app.clock.advance(7 * 86_400);
    michel.log_in().await.problem(403, "password_expired");
    assert_eq!(scrape(&app).await["cofrap_expirations_total"], 1.0);
}

/// What other programs write into the audit spoils no page.
#[tokio::test]
async fn rows_of_other_programs_are_counted_whatever_they_say() {
    let app = start().await;
    let rows = r#"INSERT INTO auth_logs_v2 (action, success, details) VALUES
        ('a "quote" \ and {brace}', TRUE, '[1, 2]'), ('b', FALSE, '{"reason": {"a": 1}, "route": 7, "locks": "all"}'),
        ('c', FALSE, '{"reason": "too_many_attempts", "kinds": {"login x": "many", "login y": -5, "login z": 1e300}}'), ('d', FALSE, 'null')"#;
    app.database.client.batch_execute(rows).await.unwrap();
    let series = scrape(&app).await;
    assert_eq!(all_attempts(&series), 4.0, "{series:?}");
    app.request_as(ADMIN_TOKEN, Method::GET, "/function/audit-log").await.ok();
    let _: Value = app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok().0;
}

/// Numbers of transactions are the server's: in another they begin anew.
#[tokio::test]
async fn counts_go_on_after_a_dump_was_loaded_elsewhere() {
    let app = start().await;
    for _ in 0..3 {
        app.authenticate("nobody", "x", "000000").await;
    }
    assert_eq!(all_attempts(&scrape(&app).await), 3.0);
    app.authenticate("nobody", "x", "000000").await;
    // As if the dump came from a server whose transactions have higher numbers.
    let elsewhere = "UPDATE auth_logs_v2 SET xact_id = xact_id + 1000000; UPDATE attempt_rollup SET counted_to = counted_to + 1000000";
    app.database.client.batch_execute(elsewhere).await.unwrap();
    let now = cofrap_accounts::UnixTime::from_seconds(app.clock.now());
    cofrap_migrations::after_restore(&mut app.database.connect().await, now, 0, &[]).await.unwrap();
    assert_eq!(all_attempts(&scrape(&app).await), 5.0);
    app.authenticate("nobody", "x", "000000").await;
    assert_eq!(all_attempts(&scrape(&app).await), 6.0);
}
