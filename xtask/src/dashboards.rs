//! Dashboards for Grafana, each a question that an operator asks, written from the one table here. A test shows that each expression gives
//! data on a running Prometheus.

use serde_json::{Value, json};

/// Where they are written, beside the rules.
pub(crate) const FOLDER: &str = "deploy/components/monitoring/dashboards";

struct Dashboard {
    /// The file's name, and the last part of its id.
    name: &'static str,
    title: &'static str,
    panels: &'static [Panel],
}

struct Panel {
    title: &'static str,
    kind: Kind,
    unit: Unit,
    /// What is asked, and how each series is called.
    queries: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy)]
enum Kind {
    Lines,
    Number,
}

/// Grafana's names of units.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    PerSecond,
    Ratio,
    Seconds,
    Bytes,
}

impl Unit {
    const fn id(self) -> &'static str {
        match self {
            Self::Count => "short",
            Self::PerSecond => "ops",
            Self::Ratio => "percentunit",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
        }
    }
}

const fn lines(title: &'static str, unit: Unit, queries: &'static [(&'static str, &'static str)]) -> Panel {
    Panel { title, kind: Kind::Lines, unit, queries }
}

const fn number(title: &'static str, unit: Unit, queries: &'static [(&'static str, &'static str)]) -> Panel {
    Panel { title, kind: Kind::Number, unit, queries }
}

const DASHBOARDS: [Dashboard; 5] = [
    Dashboard {
        name: "attacks",
        title: "COFRAP: who is attacking",
        panels: &[
            lines(
                "Refused attempts by reason",
                Unit::PerSecond,
                &[(
                    r#"sum by (reason) (rate(cofrap_attempts_total{outcome="refused"}[$__rate_interval]))"#,
                    "{{reason}}",
                )],
            ),
            lines(
                "Locks set, by what was locked",
                Unit::Count,
                &[("sum by (scope) (increase(cofrap_locks_total[1h]))", "{{scope}}")],
            ),
            lines(
                "Attempts on what is locked, by function",
                Unit::PerSecond,
                &[("sum by (route) (rate(cofrap_throttled_total[$__rate_interval]))", "{{route}}")],
            ),
            lines(
                "Names that nobody has, beside wrong passwords",
                Unit::PerSecond,
                &[
                    (r#"sum(rate(cofrap_attempts_total{reason="unknown_user"}[$__rate_interval]))"#, "unknown names"),
                    (
                        r#"sum(rate(cofrap_attempts_total{reason="wrong_password"}[$__rate_interval]))"#,
                        "wrong passwords",
                    ),
                ],
            ),
        ],
    },
    Dashboard {
        name: "people",
        title: "COFRAP: are people getting in",
        panels: &[
            number(
                "Logins that were right, of those checked",
                Unit::Ratio,
                &[(
                    r#"sum(increase(cofrap_attempts_total{action="login",outcome="success"}[1h])) / sum(increase(cofrap_attempts_total{action="login",reason!="too_many_attempts"}[1h]))"#,
                    "right",
                )],
            ),
            number(
                "Logins within an hour",
                Unit::Count,
                &[(r#"sum(increase(cofrap_attempts_total{action="login",outcome="success"}[1h]))"#, "logins")],
            ),
            lines(
                "Logins by what they came to",
                Unit::PerSecond,
                &[(
                    r#"sum by (outcome, reason) (rate(cofrap_attempts_total{action="login"}[$__rate_interval]))"#,
                    "{{outcome}} {{reason}}",
                )],
            ),
            lines(
                "Credentials given",
                Unit::Count,
                &[("sum by (credential) (increase(cofrap_issuances_total[1h]))", "{{credential}}")],
            ),
            lines("Right, and too late", Unit::Count, &[("increase(cofrap_expirations_total[1h])", "expired")]),
            lines(
                "What is asked, by function",
                Unit::PerSecond,
                &[("sum by (route) (rate(cofrap_attempts_total[$__rate_interval]))", "{{route}}")],
            ),
        ],
    },
    Dashboard {
        name: "expiry",
        title: "COFRAP: what will expire",
        panels: &[
            lines("Accounts by state", Unit::Count, &[("cofrap_accounts", "{{state}}")]),
            lines("Passwords, by how soon they are too old", Unit::Count, &[("cofrap_passwords", "{{expires}}")]),
            lines(
                "Second factors, by how soon they are too old",
                Unit::Count,
                &[("cofrap_second_factors_in_force", "{{expires}}")],
            ),
            lines("Accounts by second factor", Unit::Count, &[("cofrap_second_factors", "{{state}}")]),
            lines("Secrets by key", Unit::Count, &[("cofrap_secrets", "{{key}}")]),
            lines("Marked as expired, or without a row MAC", Unit::Count, &[("cofrap_accounts_flagged", "{{flag}}")]),
            number(
                "Since the accounts were counted",
                Unit::Seconds,
                &[("time() - cofrap_accounts_counted_timestamp_seconds", "age")],
            ),
        ],
    },
    Dashboard {
        name: "speed",
        title: "COFRAP: is it fast",
        panels: &[
            lines(
                "Requests, 95th percentile by route (OpenTelemetry)",
                Unit::Seconds,
                &[(
                    r#"histogram_quantile(0.95, sum by (le, http_route) (rate(spin_span_duration_seconds_bucket{http_route!=""}[$__rate_interval])))"#,
                    "{{http_route}}",
                )],
            ),
            lines(
                "Statements, 95th percentile (OpenTelemetry)",
                Unit::Seconds,
                &[(
                    r#"histogram_quantile(0.95, sum by (le, span_name) (rate(spin_span_duration_seconds_bucket{db_system="postgresql"}[$__rate_interval])))"#,
                    "{{span_name}}",
                )],
            ),
            lines(
                "Requests (OpenTelemetry)",
                Unit::PerSecond,
                &[("sum(rate(spin_request_count_total[$__rate_interval]))", "requests")],
            ),
            lines(
                "A scrape: one request that counts what came since the last",
                Unit::Seconds,
                &[(r#"scrape_duration_seconds{job="cofrap"}"#, "{{instance}}")],
            ),
        ],
    },
    Dashboard {
        name: "health",
        title: "COFRAP: is it healthy",
        panels: &[
            number("Answers", Unit::Count, &[(r#"up{job="cofrap"}"#, "{{instance}}")]),
            number("Schema", Unit::Count, &[("cofrap_schema_version", "version")]),
            number("Alerts", Unit::Count, &[(r#"count(ALERTS{alertstate="firing"}) or vector(0)"#, "firing")]),
            lines(
                "The functions' clock ahead of the database's",
                Unit::Seconds,
                &[("cofrap_clock_offset_seconds", "ahead")],
            ),
            lines(
                "Connections of the server",
                Unit::Count,
                &[("cofrap_database_connections", "taken"), ("cofrap_database_connections_limit", "limit")],
            ),
            lines("Bytes", Unit::Bytes, &[("cofrap_database_bytes", "database"), ("cofrap_audit_bytes", "audit")]),
            lines("Rows of the audit (estimate)", Unit::Count, &[("cofrap_audit_rows", "rows")]),
            lines("Numbers left", Unit::Ratio, &[("cofrap_sequence_remaining_ratio", "{{table}}")]),
            number(
                "Since the last backup",
                Unit::Seconds,
                &[("time() - max(barman_cloud_cloudnative_pg_io_last_available_backup_timestamp)", "age")],
            ),
            number(
                "Until the first certificate ends",
                Unit::Seconds,
                &[("min(certmanager_certificate_expiration_timestamp_seconds) - time()", "left")],
            ),
        ],
    },
];

/// Each file's name with what it holds.
pub(crate) fn files() -> impl Iterator<Item = (String, String)> {
    DASHBOARDS.iter().map(|dashboard| {
        let text = serde_json::to_string_pretty(&describe(dashboard)).expect("texts and numbers are JSON");
        (format!("{FOLDER}/{}.json", dashboard.name), text + "\n")
    })
}

/// Two panels side by side, of twelve of Grafana's twenty-four columns each.
const COLUMNS: usize = 2;
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

fn describe(dashboard: &Dashboard) -> Value {
    let panels: Vec<_> =
        dashboard.panels.iter().enumerate().map(|(place, panel)| describe_panel(panel, place)).collect();
    json!({
        "uid": format!("cofrap-{}", dashboard.name),
        "title": dashboard.title,
        "tags": ["cofrap"],
        "schemaVersion": 39,
        "version": 1,
        "editable": false,
        "refresh": "1m",
        "time": { "from": "now-6h", "to": "now" },
        "timezone": "utc",
        "templating": { "list": [{
            "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        }] },
        "panels": panels,
    })
}

fn describe_panel(panel: &Panel, place: usize) -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let targets = panel.queries.iter().zip('A'..).map(|((query, name), letter)| {
        json!({ "refId": letter.to_string(), "datasource": source, "expr": query, "legendFormat": name })
    });
    json!({
        "id": place + 1,
        "title": panel.title,
        "type": match panel.kind { Kind::Lines => "timeseries", Kind::Number => "stat" },
        "datasource": source,
        "gridPos": { "x": place % COLUMNS * WIDTH, "y": place / COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT },
        "fieldConfig": { "defaults": { "unit": panel.unit.id() }, "overrides": [] },
        "targets": targets.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Grafana's own ids of the units that are used here.
    const UNITS: [&str; 5] = ["short", "ops", "percentunit", "s", "bytes"];

    #[test]
    fn ids_are_unique_units_are_grafana_s_and_every_variable_is_there() {
        let mut ids = HashSet::new();
        for (name, text) in files() {
            let dashboard: Value = serde_json::from_str(&text).unwrap();
            let uid = dashboard["uid"].as_str().unwrap();
            assert!(uid.len() <= 40 && ids.insert(uid.to_owned()), "{name}");
            let declared: Vec<_> = dashboard["templating"]["list"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v["name"].as_str().unwrap())
                .collect();
            let mut panels = HashSet::new();
            for panel in dashboard["panels"].as_array().unwrap() {
                assert!(panels.insert(panel["id"].as_u64().unwrap()), "{name}");
                assert!(UNITS.contains(&panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap()), "{name}");
                for target in panel["targets"].as_array().unwrap() {
                    let expression = target["expr"].as_str().unwrap();
                    assert!(
                        expression.contains("cofrap") || !expression.contains("$datasource"),
                        "{name}: {expression}"
                    );
                    // Grafana fills in its own interval; every other variable must be declared.
                    let used = expression.split('$').skip(1).map(|rest| {
                        rest.trim_start_matches('{').split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
                    });
                    for variable in used {
                        assert!(variable == "__rate_interval" || declared.contains(&variable), "{name}: ${variable}");
                    }
                }
            }
        }
        assert_eq!(ids.len(), DASHBOARDS.len());
    }
}
