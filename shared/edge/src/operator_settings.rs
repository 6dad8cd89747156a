//! The variable `settings`: `name=value` pairs separated by white space.

use cofrap_accounts::{Age, Policy, Registration, Retention, Settings};
use cofrap_crypto::Unbound;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Every setting with its default. `policy` has none: an empty or lost `settings` must not quietly
/// reopen what an operator had closed.
const DEFAULTS: [(&str, &str); 13] = [
    ("policy", "strict"),
    ("registration", "open"),
    ("accept_unbound_rows", "true"),
    // 182.5 days.
    ("password_max_age_seconds", "15768000"),
    ("trusted_proxy_hops", "0"),
    ("account_failures_limit", "5"),
    ("otp_failures_limit", "20"),
    ("ip_failures_limit", "30"),
    ("ip_failures_window_seconds", "300"),
    ("ip_generations_limit", "100"),
    // Whom users ask for help; empty: "your administrator".
    ("helpdesk", ""),
    ("audit_refusals_days", "90"),
    // More than a year, so that a whole year can be read.
    ("audit_actions_days", "400"),
];

/// The setting that has to be given.
const REQUIRED: &str = "policy";

/// Ten years, in seconds. An age of 0 would expire everybody for good.
const AGES: RangeInclusive<u64> = 1..=315_360_000;

/// The most of the operator's proxies.
const HOPS: RangeInclusive<u64> = 0..=32;

/// 0 turns a limit off.
const LIMITS: RangeInclusive<u64> = 0..=1_000_000;

/// A day, in seconds.
const WINDOWS: RangeInclusive<u64> = 1..=86_400;

/// How long the audit is kept, in days: at least [`Retention::MIN_DAYS`], at most a hundred years; 0 is for ever.
const DAYS: RangeInclusive<u64> = Retention::MIN_DAYS..=36_500;

/// Characters of a text that people read.
const LONGEST_TEXT: usize = 100;

/// Why `settings` cannot be used. Names the setting, never a value; an unknown name may be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A pair is none.
    #[error("entry {0} is not name=value (entries are separated by white space alone)")]
    NotAPair(usize),
    /// A name is unknown.
    #[error("entry {position} is unknown; there are {}", names())]
    Unknown {
        /// Which entry, counted from 1.
        position: usize,
    },
    /// A name was given before.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// A required name is missing.
    #[error("{0} is missing: write {0}=strict")]
    Missing(&'static str),
    /// A value is none of the words that are expected.
    #[error("{name} must be {expected}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What it takes.
        expected: String,
    },
}

fn names() -> String {
    DEFAULTS.map(|(name, _)| name).join(", ")
}

/// The settings in force.
#[derive(Clone, Debug)]
pub struct OperatorSettings {
    /// The settings that the rules need.
    pub rules: Settings,
    /// How many of the operator's proxies are before the functions. Their entries in `X-Forwarded-For` are trusted.
    pub trusted_proxy_hops: usize,
    /// Whether secrets without a MAC, which other programs write, are decrypted.
    pub unbound_rows: Unbound,
    /// Whom people ask for help, in the words of a sentence; empty: nobody in particular.
    pub helpdesk: String,
    /// Every setting with its value, in the order of [`DEFAULTS`].
    values: [(&'static str, String); DEFAULTS.len()],
}

impl FromStr for OperatorSettings {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let mut given: Vec<(&'static str, &str)> = Vec::new();
        for (index, entry) in text.split_ascii_whitespace().enumerate() {
            let position = index + 1;
            let (name, value) = entry.split_once('=').ok_or(SettingsError::NotAPair(position))?;
            let known = DEFAULTS.iter().find(|(known, _)| *known == name);
            let (name, _) = *known.ok_or(SettingsError::Unknown { position })?;
            if given.iter().any(|(before, _)| *before == name) {
                return Err(SettingsError::Twice(name));
            }
            given.push((name, value));
        }
        if !given.iter().any(|(name, _)| *name == REQUIRED) {
            return Err(SettingsError::Missing(REQUIRED));
        }
        let values = DEFAULTS.map(|(name, default)| {
            let value = given.iter().find(|(given, _)| *given == name).map_or(default, |(_, value)| *value);
            (name, value.to_owned())
        });
        Self::of(values)
    }
}

impl OperatorSettings {
    fn of(values: [(&'static str, String); DEFAULTS.len()]) -> Result<Self, SettingsError> {
        let value = |name| values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str());
        let number = |name, range| parse_number(name, value(name), range);
        let limit = |name| number(name, LIMITS).map(u64::cast_signed);
        let days = |name| if value(name) == "0" { Ok(0) } else { number(name, DAYS).map(u64::cast_signed) };
        let rules = Settings {
            policy: one_of("policy", value("policy"), [("strict", Policy::Strict), ("legacy", Policy::Legacy)])?,
            registration: one_of(
                "registration",
                value("registration"),
                [("open", Registration::Open), ("operator", Registration::Operator)],
            )?,
            password_max_age: Age::from_seconds(number("password_max_age_seconds", AGES)?),
            limits: cofrap_accounts::Limits {
                account_failures: limit("account_failures_limit")?,
                otp_failures: limit("otp_failures_limit")?,
                address_failures: limit("ip_failures_limit")?,
                address_window: number("ip_failures_window_seconds", WINDOWS)?.cast_signed(),
                address_issuances: limit("ip_generations_limit")?,
            },
            retention: Retention {
                refusals_days: days("audit_refusals_days")?,
                actions_days: days("audit_actions_days")?,
            },
        };
        let unbound_rows = one_of(
            "accept_unbound_rows",
            value("accept_unbound_rows"),
            [("true", Unbound::Accepted), ("false", Unbound::Refused)],
        )?;
        let hops = number("trusted_proxy_hops", HOPS)?;
        let trusted_proxy_hops = usize::try_from(hops).unwrap_or(usize::MAX);
        let helpdesk = parse_text("helpdesk", value("helpdesk"))?;
        Ok(Self { rules, trusted_proxy_hops, unbound_rows, helpdesk, values })
    }

    /// Every setting with its value.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The policy and every setting that differs from its default.
    #[must_use]
    pub fn brief(&self) -> String {
        let is_said = |(name, value): &(&str, &str)| *name == REQUIRED || !DEFAULTS.contains(&(*name, *value));
        join(self.values().filter(is_said))
    }
}

/// Every setting that has a value, as `settings` takes it.
impl fmt::Display for OperatorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join(self.values().filter(|(_, value)| !value.is_empty())))
    }
}

fn join<'a>(pairs: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn one_of<T>(name: &'static str, value: &str, words: [(&str, T); 2]) -> Result<T, SettingsError> {
    match words.iter().position(|(word, _)| *word == value) {
        None => Err(wrong_value(name, value, format!("{} or {}", words[0].0, words[1].0))),
        Some(position) => Ok(words.into_iter().nth(position).expect("it was found there").1),
    }
}

/// Digits alone: `+5`, `05` and `5.0` are refused as likely mistakes.
fn parse_number(name: &'static str, value: &str, range: RangeInclusive<u64>) -> Result<u64, SettingsError> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit()) && (value == "0" || !value.starts_with('0'));
    let number = if is_plain { value.parse().ok() } else { None };
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| wrong_value(name, value, format!("a whole number from {} to {}", range.start(), range.end())))
}

/// A text of a sentence, percent-encoded since white space separates the entries.
fn parse_text(name: &'static str, value: &str) -> Result<String, SettingsError> {
    let text = percent_decode_str(value).decode_utf8().ok();
    text.filter(|text| text.chars().count() <= LONGEST_TEXT && !text.chars().any(char::is_control))
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| wrong_value(name, value, format!("at most {LONGEST_TEXT} characters, a space as %20")))
}

/// A hint for somebody who separated entries by another character.
fn wrong_value(name: &'static str, value: &str, mut expected: String) -> SettingsError {
    if value.contains([',', ';', '\u{a0}']) {
        expected.push_str(" (entries are separated by white space alone)");
    }
    SettingsError::Value { name, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        text.parse::<OperatorSettings>().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_policy_alone_leaves_every_other_setting_at_its_default() {
        let settings: OperatorSettings = "policy=strict".parse().unwrap();
        let expected = join(DEFAULTS.into_iter().filter(|(_, value)| !value.is_empty()));
        assert_eq!(settings.to_string(), expected);
        assert_eq!(settings.brief(), "policy=strict");
        assert_eq!(settings.rules.limits.address_window, 300);
        // What is written is read again.
        assert_eq!(expected.parse::<OperatorSettings>().unwrap().to_string(), expected);
    }

    #[test]
    fn a_text_is_percent_encoded_since_white_space_separates() {
        let settings: OperatorSettings = "policy=strict helpdesk=l%27%C3%A9quipe%20(42)".parse().unwrap();
        assert_eq!(settings.helpdesk, "l'équipe (42)");
        for wrong in ["%00", "%ff", &"x".repeat(101)] {
            assert!(error_of(&format!("policy=strict helpdesk={wrong}")).starts_with("helpdesk must be"), "{wrong}");
        }
    }

    #[test]
    fn any_white_space_separates_and_order_does_not_matter() {
        let text = "\n  registration=operator\tpolicy=legacy\r\n trusted_proxy_hops=2 ";
        let settings: OperatorSettings = text.parse().unwrap();
        assert_eq!(settings.brief(), "policy=legacy registration=operator trusted_proxy_hops=2");
        assert_eq!((settings.rules.registration, settings.trusted_proxy_hops), (Registration::Operator, 2));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_no_value_said() {
        for (text, expected) in [
            ("", "policy is missing"),
            ("registration=operator", "policy is missing"),
            ("policy=strict policy=strict", "policy is given twice"),
            ("policy=strict registration=open registration=operator", "registration is given twice"),
            ("policy=strict canary", "entry 2 is not name=value"),
            ("policy = strict", "entry 1 is not name=value"),
            ("policy=strict canary=1", "entry 2 is unknown; there are policy, registration,"),
            ("policy=strict Registration=open", "entry 2 is unknown"),
            (
                "policy=strict,registration=operator",
                "policy must be strict or legacy (entries are separated by white space",
            ),
            ("policy=strict;registration=operator", "policy must be strict or legacy"),
            ("policy=strict\u{a0}registration=operator", "policy must be strict or legacy"),
            ("policy=", "policy must be strict or legacy"),
            ("policy=canary", "policy must be strict or legacy"),
            ("policy=strict registration=closed", "registration must be open or operator"),
            ("policy=strict accept_unbound_rows=yes", "accept_unbound_rows must be true or false"),
            ("policy=strict trusted_proxy_hops=-1", "trusted_proxy_hops must be a whole number from 0 to 32"),
            ("policy=strict ip_failures_limit=+5", "ip_failures_limit must be a whole number"),
            ("policy=strict ip_failures_limit=05", "ip_failures_limit must be a whole number"),
            ("policy=strict ip_failures_limit=", "ip_failures_limit must be a whole number"),
            ("policy=strict ip_failures_limit=1000001", "ip_failures_limit must be a whole number from 0 to 1000000"),
            ("policy=strict ip_failures_window_seconds=0", "ip_failures_window_seconds must be a whole number from 1"),
            ("policy=strict audit_refusals_days=29", "audit_refusals_days must be a whole number from 30 to 36500"),
            ("policy=strict audit_actions_days=-1", "audit_actions_days must be a whole number from 30 to 36500"),
            ("policy=strict password_max_age_seconds=0", "password_max_age_seconds must be a whole number from 1"),
            ("policy=strict password_max_age_seconds=99999999999999999999", "password_max_age_seconds must be"),
        ] {
            let error = error_of(text);
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("canary"), "{text}: {error}");
        }
    }
}
