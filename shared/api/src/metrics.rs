//! `GET /metrics`: the metrics in the text format of Prometheus.

use crate::Problem;
use cofrap_accounts::{AttemptCount, Metrics};
use prometheus::{Encoder, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics as text.
///
/// # Errors
/// [`crate::Code::Unavailable`] if a metric is declared twice, which would be a mistake in this file.
pub fn render(metrics: &Metrics, schema_version: i64) -> Result<String, Problem> {
    let page = Page::default();
    page.write(metrics, schema_version).map_err(Problem::unavailable)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&page.registry.gather(), &mut text).map_err(Problem::unavailable)?;
    String::from_utf8(text).map_err(Problem::unavailable)
}

/// What an attempt may lock; `account_again` is an account's fourth lock in a row and each further one, beside `account`.
const LOCKS: [&str; 4] = ["account", "account_again", "address", "codes"];

/// The actions that check a password or a code, with the last part of their path.
const CHECKED: [(&str, &str); 9] = [
    ("login", "authenticate-user-v2"),
    ("login", "verify-2fa"),
    ("password_verified", "authentication"),
    ("code_verified", "verify-2fa"),
    ("password_generated", "generate-password-v2"),
    ("password_generated", "generate-password"),
    ("2fa_generated", "generate-2fa-v2"),
    ("2fa_generated", "generate-2fa"),
    ("account_created", "create-account-secure"),
];

/// The actions of an operator that an altered row refuses.
const ADMINISTERED: [&str; 6] =
    ["account_unlocked", "account_expired", "account_disabled", "account_enabled", "2fa_reset", "sessions_ended"];

/// Reasons that alerts look for.
const REASONS: [&str; 6] =
    ["unknown_user", "wrong_password", "wrong_code", "unreadable_secret", "altered_row", "too_many_attempts"];

/// The page. Functions keep no counters: every page is made from what the database says.
#[derive(Default)]
struct Page {
    registry: Registry,
}

impl Page {
    fn write(&self, metrics: &Metrics, schema_version: i64) -> prometheus::Result<()> {
        self.attempts(&metrics.attempts)?;
        self.server(metrics)?;
        self.accounts(metrics)?;
        let build = self.gauge("cofrap_build_info", "Always 1; the version of the functions.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let schema =
            self.gauge("cofrap_schema_version", "The version of the database's schema that the functions call.", &[])?;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        schema.with_label_values::<&str>(&[]).set(schema_version as f64);
        Ok(())
    }

    fn attempts(&self, attempts: &[AttemptCount]) -> prometheus::Result<()> {
        let all = self.counter(
            "cofrap_attempts_total",
            "Attempts, by what was asked, which function was asked, what it came to, and the reason of a refusal.",
            &["action", "route", "outcome", "reason"],
        )?;
        let issuances =
            self.counter("cofrap_issuances_total", "Credentials that were generated or chosen.", &["credential"])?;
        let expirations =
            self.counter("cofrap_expirations_total", "Logins that were right, with a factor that was too old.", &[])?;
        let locks =
            self.counter("cofrap_locks_total", "Locks that a failed attempt set, by what was locked.", &["scope"])?;
        let throttled = self.counter(
            "cofrap_throttled_total",
            "Attempts that were refused without being checked, because a limit was reached before.",
            &["route"],
        )?;
        // A series that exists from the start has a rate from its first event on.
        for credential in ["password", "second_factor"] {
            issuances.with_label_values(&[credential]);
        }
        expirations.with_label_values::<&str>(&[]);
        for scope in LOCKS {
            locks.with_label_values(&[scope]);
        }
        for (action, route) in CHECKED {
            all.with_label_values(&[action, route, "success", ""]);
            for reason in REASONS {
                all.with_label_values(&[action, route, "refused", reason]);
            }
            throttled.with_label_values(&[route]);
        }
        for action in ADMINISTERED {
            all.with_label_values(&[action, "administer-account", "refused", "altered_row"]);
        }
        for attempt in attempts {
            let AttemptCount { action, route, success, reason, locks: locked, total } = attempt;
            let outcome = if *success { "success" } else { "refused" };
            all.with_label_values(&[action.as_str(), route, outcome, reason]).inc_by(*total);
            match action.as_str() {
                "password_generated" | "account_created" if *success => {
                    issuances.with_label_values(&["password"]).inc_by(*total);
                }
                "2fa_generated" if *success => issuances.with_label_values(&["second_factor"]).inc_by(*total),
                "password_expired" => expirations.with_label_values::<&str>(&[]).inc_by(*total),
                _ => {}
            }
            for scope in LOCKS.iter().filter(|scope| locked.iter().any(|lock| lock == **scope)) {
                locks.with_label_values(&[*scope]).inc_by(*total);
            }
            if reason == "too_many_attempts" {
                throttled.with_label_values(&[route]).inc_by(*total);
            }
        }
        Ok(())
    }

    fn server(&self, metrics: &Metrics) -> prometheus::Result<()> {
        for (name, help, value) in [
            ("cofrap_audit_rows", "Rows of the audit, as the database estimates them.", metrics.audit_rows),
            ("cofrap_audit_bytes", "Bytes of the audit, its indexes included.", metrics.audit_bytes),
            ("cofrap_database_bytes", "Bytes of the database.", metrics.database_bytes),
            (
                "cofrap_uncounted_transactions",
                "Transactions of the server since the one up to which attempts are counted for good.",
                metrics.uncounted_transactions,
            ),
            ("cofrap_database_connections", "Connections to the database's server.", metrics.connections),
            (
                "cofrap_database_connections_limit",
                "The most connections that the server takes.",
                metrics.connections_limit,
            ),
        ] {
            self.count(name, help, &[])?.with_label_values::<&str>(&[]).set(value);
        }
        let offset =
            self.gauge("cofrap_clock_offset_seconds", "How far the functions' clock is ahead of the database's.", &[])?;
        offset.with_label_values::<&str>(&[]).set(metrics.clock_offset);
        let left = self.gauge(
            "cofrap_sequence_remaining_ratio",
            "The part of a table's numbers that is not used yet.",
            &["table"],
        )?;
        for sequence in &metrics.sequences {
            #[expect(clippy::cast_precision_loss, reason = "a ratio")]
            let used = sequence.last as f64 / sequence.largest as f64;
            left.with_label_values(&[&sequence.table]).set(1.0 - used);
        }
        Ok(())
    }

    fn accounts(&self, metrics: &Metrics) -> prometheus::Result<()> {
        let Some(accounts) = &metrics.accounts else { return Ok(()) };
        for (group, name, help, label) in [
            ("accounts", "cofrap_accounts", "Accounts, by where they stand.", "state"),
            ("second_factors", "cofrap_second_factors", "Accounts, by what second factor they have.", "state"),
            ("passwords", "cofrap_passwords", "Passwords of active accounts, by how soon they are too old.", "expires"),
            (
                "second_factor_ages",
                "cofrap_second_factors_in_force",
                "Second factors of active accounts, by how soon they are too old.",
                "expires",
            ),
            ("keys", "cofrap_secrets", "Stored secrets, by the name of the key that sealed them.", "key"),
            (
                "flags",
                "cofrap_accounts_flagged",
                "Accounts that are marked as expired, or have a secret without a row MAC.",
                "flag",
            ),
        ] {
            let family = self.count(name, help, &[label])?;
            for (value, number) in accounts.groups.get(group).into_iter().flatten() {
                family.with_label_values(&[value]).set(*number);
            }
        }
        let at = self.count(
            "cofrap_accounts_counted_timestamp_seconds",
            "When maintenance counted the accounts, in seconds since the Unix epoch.",
            &[],
        )?;
        at.with_label_values::<&str>(&[]).set(accounts.at.seconds());
        Ok(())
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let family = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn count(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        let family = GaugeVec::new(Opts::new(name, help), labels)?;
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }
}
