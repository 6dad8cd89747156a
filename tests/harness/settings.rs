//! What one test configures otherwise.

use cofrap_host::VariableSource;
use std::collections::BTreeMap;

/// Every variable of the functions.
const VARIABLES: [&str; 7] =
    ["database_url", "database_host", "encryption_key", "jwt_secret", "admin_token", "metrics_token", "settings"];

/// What one test sets otherwise.
#[derive(Default)]
pub struct Settings {
    /// Variables, which come before the test run's own.
    pub variables: VariableSource,
    /// Pairs of the variable `settings`.
    pub pairs: BTreeMap<String, String>,
    /// The seed of every request's random source, when it is not the machine's.
    pub seed: Option<u64>,
}

impl Settings {
    /// One variable, or one name of `settings`.
    pub fn variable(name: &str, value: &str) -> Self {
        Self::default().and(name, value)
    }

    /// Several variables.
    pub fn variables(variables: VariableSource) -> Self {
        Self { variables, ..Self::default() }
    }

    /// More variables.
    #[must_use]
    pub fn with(mut self, variables: VariableSource) -> Self {
        self.variables.extend(variables);
        self
    }

    /// One more variable, or name of `settings`.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        let map = if VARIABLES.contains(&name) { &mut self.variables } else { &mut self.pairs };
        map.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What `settings` is.
    pub(crate) fn text(&self) -> String {
        let policy = self.pairs.get("policy").map_or("strict", String::as_str);
        let others = self.pairs.iter().filter(|(name, _)| *name != "policy");
        others.fold(format!("policy={policy}"), |text, (name, value)| format!("{text} {name}={value}"))
    }

    /// No limit on how often things may fail.
    pub fn without_limits() -> Self {
        ["account_failures_limit", "otp_failures_limit", "ip_failures_limit", "ip_generations_limit"]
            .into_iter()
            .fold(Self::default(), |settings, limit| settings.and(limit, "0"))
    }

    /// With one proxy before the functions, whose word on addresses counts: see [`crate::TestApp::call_from`].
    pub fn behind_a_proxy() -> Self {
        Self::variable("trusted_proxy_hops", "1")
    }
}
