//! What watches the functions: the rules, the dashboards and the example, by Prometheus' own programs.

use cofrap_tests::{ADMIN_TOKEN, Prometheus, Settings, TestApp, checkout, xtask};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const TOKEN: &str = "a token of the monitoring system's, long enough";

const FOLDER: &str = "deploy/components/monitoring";

/// Runs a program in the folder; what it said.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(checkout().join(FOLDER)).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error} (see CONTRIBUTING.md)"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

fn alerts() -> Vec<Value> {
    let text = fs::read_to_string(checkout().join(FOLDER).join("alerts.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[test]
fn the_rules_do_what_their_cases_say() {
    run("promtool", &["check", "rules", "alerts.yaml"]);
    run("promtool", &["test", "rules", "alerts.test.yaml"]);
    run("amtool", &["check-config", "alertmanager.example.yaml"]);
    // Each alert has a case for and one against.
    let cases: Value =
        serde_saphyr::from_str(&fs::read_to_string(checkout().join(FOLDER).join("alerts.test.yaml")).unwrap()).unwrap();
    let tests = cases["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let tested: BTreeSet<_> = tests
        .map(|test| {
            (test["alertname"].as_str().unwrap(), test["exp_alerts"].as_array().is_some_and(|list| !list.is_empty()))
        })
        .collect();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(tested.contains(&(name, true)) && tested.contains(&(name, false)), "{name}");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_has_a_page() {
    let mut pages = BTreeSet::new();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        assert!(alert["annotations"]["summary"].as_str().unwrap().ends_with('.'), "{name}");
        let page = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(page, format!("docs/operations/alerts/{name}.md"));
        let text = fs::read_to_string(checkout().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        for part in [format!("# {name}\n"), "## What it means".to_owned(), "## What to do".to_owned()] {
            assert!(text.contains(&part), "{page} has no {part:?}");
        }
        pages.insert(format!("{name}.md"));
    }
    let files = fs::read_dir(checkout().join("docs/operations/alerts")).unwrap();
    let files: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, pages);
}

/// Every expression of a dashboard.
fn expressions() -> Vec<(String, String)> {
    let mut expressions = Vec::new();
    for file in fs::read_dir(checkout().join(FOLDER).join("dashboards")).unwrap() {
        let path = file.unwrap().path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            let title = format!("{}: {}", dashboard["title"].as_str().unwrap(), panel["title"].as_str().unwrap());
            for target in panel["targets"].as_array().unwrap() {
                // What Grafana makes of it at this interval.
                expressions.push((title.clone(), target["expr"].as_str().unwrap().replace("$__rate_interval", "15s")));
            }
        }
    }
    expressions
}

#[tokio::test]
async fn a_real_prometheus_counts_what_was_sent_and_has_data_for_every_panel() {
    let app = TestApp::start_with(Settings::variable("metrics_token", TOKEN)).await;
    let mut michel = app.active_account("michel").await;
    app.call_as(ADMIN_TOKEN, "maintain", json!({})).await.ok();
    let prometheus = Prometheus::scraping(&app, TOKEN).await;
    prometheus.until("up{job=\"cofrap\"}", 1.0).await;
    let logins = r#"sum(cofrap_attempts_total{action="login",outcome="success"})"#;
    prometheus.until(logins, 1.0).await;
    for _ in 0..3 {
        app.clock.advance(30);
        michel.log_in().await.ok();
    }
    for _ in 0..8 {
        app.authenticate("nobody", "x", "000000").await;
    }
    app.generate_password("eve").await.ok();
    prometheus.until(logins, 4.0).await;
    prometheus.until(r#"sum(cofrap_attempts_total{reason="unknown_user"})"#, 5.0).await;
    prometheus.until("sum(cofrap_throttled_total)", 3.0).await;
    prometheus.until(r#"sum(cofrap_locks_total{scope="account"})"#, 1.0).await;
    // A rate needs two scrapes.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let expressions = expressions();
    assert!(expressions.len() > 25);
    for (panel, expression) in expressions {
        assert!(!prometheus.query(&expression).await.is_empty(), "{panel}: {expression}");
    }
    let rules = prometheus.get("/api/v1/rules").await;
    let groups = rules["data"]["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert_eq!(rules.len(), alerts().len());
    assert!(rules.iter().all(|rule| rule["health"] == "ok"), "{rules:#?}");
    // The test's clock is not the database's.
    let pending = rules.iter().find(|rule| rule["name"] == "CofrapClockDrift").unwrap();
    assert_eq!(pending["state"], "pending", "{pending}");
}

/// `up --with-monitoring`, as somebody types it.
#[tokio::test]
async fn up_starts_prometheus_and_alertmanager_beside_the_functions() {
    let database = cofrap_tests::TestServer::get().await.empty_database().await;
    let mut command = xtask();
    command
        .args(["up", "--with-monitoring", "--listen", "127.0.0.1:0", "--database-url", &database.url_of_the_owner()])
        .env("SPIN_VARIABLE_ENCRYPTION_KEY", &*cofrap_tests::KEY)
        .env("SPIN_VARIABLE_JWT_SECRET", "eW8gaG8gaG8gYW5kIGEgYm90dGxlIG9mIHJ1bSAhISE=")
        .env("SPIN_VARIABLE_SETTINGS", "policy=strict")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut up = command.spawn().unwrap();
    let lines = BufReader::new(up.stdout.take().unwrap()).lines().map_while(Result::ok);
    // Who stops listening ends what still says something.
    let (watched, _listening) = tokio::task::spawn_blocking(move || {
        let mut lines = lines;
        (lines.find(|line| line.trim_start().starts_with("watch: ")).expect("it says where to watch"), lines)
    })
    .await
    .unwrap();
    let address = watched.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let is_up = async {
        loop {
            let answer = tokio::process::Command::new("promtool")
                .args(["query", "instant", &format!("http://{address}"), "up{job=\"cofrap\"} == 1"])
                .kill_on_drop(true)
                .output()
                .await
                .unwrap();
            if String::from_utf8_lossy(&answer.stdout).contains("=> 1") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    };
    let scraped = tokio::time::timeout(std::time::Duration::from_mins(1), is_up).await;
    Command::new("kill").args(["-INT", &up.id().to_string()]).status().unwrap();
    assert!(up.wait().unwrap().success());
    scraped.expect("it is scraped");
}
