//! The configuration: Spin variables, read again for every request.

use crate::platform::let_others_run;
use cofrap_accounts::{
    AdministrationKeys, Age, GenerationKeys, Limits, LoginKeys, OperatorKeys, Policy, Registration, Settings,
};
use cofrap_crypto::{KeyListError, Keyring, SharedSecret, SharedSecretTooShort, TokenKeys, Unbound};
use spin_sdk::variables::Error;
use zeroize::Zeroizing;

/// What a connection is given unless `postgres_options` says otherwise: an answer, good or bad, comes within seconds,
/// and the server speaks UTC.
const CONNECTION_DEFAULTS: &str = "connect_timeout=3 application_name=cofrap options='-c statement_timeout=3000 \
     -c lock_timeout=2000 -c idle_in_transaction_session_timeout=5000 -c timezone=UTC'";

/// A variable that cannot be used. Its value is never shown.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It has no value, or one that makes no sense.
    #[error("variable {name}: {problem}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// It holds no keys.
    #[error("variable {name}: {error}")]
    Keys {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        error: KeyListError,
    },
    /// The operator's token is too short.
    #[error("variable admin_token: {0}")]
    OperatorToken(SharedSecretTooShort),
    /// The operator's token, which every request of theirs carries, is a key.
    #[error("variable admin_token: it is also a key: make another with `openssl rand -base64 32`")]
    TokenIsKey,
    /// The same key would sign tokens and protect what is stored.
    #[error("variable jwt_secret: it shares a key with encryption_key: make another with `openssl rand -base64 32`")]
    SharedKey,
}

/// Where values come from: a variable's name to its value, or to why it has none.
pub trait Variables {
    /// The value of a variable.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] when it has none.
    fn get(&self, name: &'static str) -> Result<Zeroizing<String>, ConfigError>;
}

/// The platform's variables.
pub(crate) struct SpinVariables;

impl Variables for SpinVariables {
    fn get(&self, name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
        // What the error would say of itself is its derived `Debug`, which brings the escaping of texts along.
        spin_sdk::variables::get(name).map(Zeroizing::new).map_err(|error| match error {
            Error::InvalidName(problem)
            | Error::Undefined(problem)
            | Error::Provider(problem)
            | Error::Other(problem) => ConfigError::Variable { name, problem },
        })
    }
}

/// What one kind of operation is given besides the database: each reads the keys that it needs, and no others.
pub trait ReadKeys: Sized {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigError`]
    fn read(variables: &impl Variables) -> Result<Self, ConfigError>;
}

impl ReadKeys for TokenKeys {
    fn read(variables: &impl Variables) -> Result<Self, ConfigError> {
        let name = "jwt_secret";
        variables.get(name)?.parse().map_err(|error| ConfigError::Keys { name, error })
    }
}

impl ReadKeys for Keyring {
    fn read(variables: &impl Variables) -> Result<Self, ConfigError> {
        let name = "encryption_key";
        let keyring: Self = variables.get(name)?.parse().map_err(|error| ConfigError::Keys { name, error })?;
        let words = [("true", Unbound::Accepted), ("false", Unbound::Refused)];
        let keyring = keyring.with_unbound(one_of(variables, "accept_unbound_rows", words)?);
        Ok(keyring.with_pause(let_others_run))
    }
}

impl ReadKeys for LoginKeys {
    fn read(variables: &impl Variables) -> Result<Self, ConfigError> {
        let (keyring, tokens) = (Keyring::read(variables)?, TokenKeys::read(variables)?);
        if keyring.shares_a_key_with(&tokens) {
            return Err(ConfigError::SharedKey);
        }
        Ok(Self { keyring, tokens })
    }
}

impl ReadKeys for GenerationKeys {
    fn read(variables: &impl Variables) -> Result<Self, ConfigError> {
        let LoginKeys { keyring, tokens } = LoginKeys::read(variables)?;
        Ok(Self { keyring, tokens, operator: operator(variables)? })
    }
}

impl ReadKeys for AdministrationKeys {
    fn read(variables: &impl Variables) -> Result<Self, ConfigError> {
        Ok(Self { keyring: Keyring::read(variables)?, operator: operator(variables)? })
    }
}

impl ReadKeys for OperatorKeys {
    fn read(variables: &impl Variables) -> Result<Self, ConfigError> {
        Ok(Self { operator: operator(variables)? })
    }
}

/// The operator's token; an empty one is none.
fn operator(variables: &impl Variables) -> Result<Option<SharedSecret>, ConfigError> {
    let token = variables.get("admin_token")?;
    Ok(if token.is_empty() { None } else { Some(SharedSecret::new(token).map_err(ConfigError::OperatorToken)?) })
}

/// What the operator chose, and how many proxies of theirs stand before the functions.
pub(crate) fn settings(variables: &impl Variables) -> Result<(Settings, usize), ConfigError> {
    let limit = |name| count(variables, name).map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let settings = Settings {
        policy: policy(variables)?,
        registration: one_of(
            variables,
            "registration",
            [("open", Registration::Open), ("operator", Registration::Operator)],
        )?,
        password_max_age: Age::from_seconds(at_least_one(variables, "password_max_age_seconds")?),
        limits: Limits {
            account_failures: limit("account_failures_limit")?,
            otp_failures: limit("otp_failures_limit")?,
            address_failures: limit("ip_failures_limit")?,
            address_window: limit("ip_failures_window_seconds")?,
            address_generations: limit("ip_generations_limit")?,
        },
    };
    Ok((settings, usize::try_from(count(variables, "trusted_proxy_hops")?).unwrap_or(usize::MAX)))
}

pub(crate) fn policy(variables: &impl Variables) -> Result<Policy, ConfigError> {
    one_of(variables, "policy", [("strict", Policy::Strict), ("legacy", Policy::Legacy)])
}

/// Reads every variable that any function reads but the database's: what is wrong is said at the start, not at the first
/// request.
///
/// # Errors
/// The [`ConfigError`] of the first that cannot be used.
pub fn check_variables(variables: &impl Variables) -> Result<Policy, ConfigError> {
    GenerationKeys::read(variables)?;
    let token = variables.get("admin_token")?;
    for name in ["encryption_key", "jwt_secret"] {
        if !token.is_empty() && variables.get(name)?.split(',').any(|key| key.trim() == token.as_str()) {
            return Err(ConfigError::TokenIsKey);
        }
    }
    settings(variables).map(|(settings, _)| settings.policy)
}

/// Later parameters win, so the operator's options can replace the defaults.
pub(crate) fn postgres_address(variables: &impl Variables) -> Result<Zeroizing<String>, ConfigError> {
    let mut address = Zeroizing::new(String::new());
    for (parameter, name) in [
        ("host", "postgres_host"),
        ("port", "postgres_port"),
        ("dbname", "postgres_db"),
        ("user", "postgres_user"),
        ("password", "postgres_password"),
    ] {
        address.push_str(parameter);
        address.push('=');
        address.push_str(&quoted(&variables.get(name)?));
        address.push(' ');
    }
    address.push_str(CONNECTION_DEFAULTS);
    address.push(' ');
    address.push_str(&variables.get("postgres_options")?);
    Ok(address)
}

/// A value in the quotes of a libpq connection string.
fn quoted(value: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")))
}

fn one_of<T>(variables: &impl Variables, name: &'static str, words: [(&str, T); 2]) -> Result<T, ConfigError> {
    let value = variables.get(name)?;
    let [(one, first), (other, second)] = words;
    if *value == one {
        Ok(first)
    } else if *value == other {
        Ok(second)
    } else {
        Err(ConfigError::Variable { name, problem: format!("one of {one}, {other} is expected") })
    }
}

/// An age of 0 would expire everybody, for good.
fn at_least_one(variables: &impl Variables, name: &'static str) -> Result<u64, ConfigError> {
    match count(variables, name)? {
        0 => Err(ConfigError::Variable { name, problem: "at least 1 is expected".into() }),
        number => Ok(number),
    }
}

fn count(variables: &impl Variables, name: &'static str) -> Result<u64, ConfigError> {
    let invalid = |_| ConfigError::Variable { name, problem: "a whole number is expected".into() };
    variables.get(name)?.trim().parse().map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<(&'static str, &'static str)>);

    impl Variables for Given {
        fn get(&self, name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
            let value = self.0.iter().rev().find(|(given, _)| *given == name).map_or("", |(_, value)| value);
            Ok(Zeroizing::new(value.to_owned()))
        }
    }

    fn refused(changed: &'static str, value: &'static str) -> Option<String> {
        let mut given = vec![
            ("encryption_key", "ZmlmdGVlbiBtZW4gb24gdGhlIGRlYWQgbWFuJ3MgISE="),
            ("jwt_secret", "eW8gaG8gaG8gYW5kIGEgYm90dGxlIG9mIHJ1bSAhISE="),
            ("policy", "strict"),
            ("registration", "open"),
            ("accept_unbound_rows", "true"),
        ];
        let numbers = [
            "password_max_age_seconds",
            "trusted_proxy_hops",
            "account_failures_limit",
            "otp_failures_limit",
            "ip_failures_limit",
            "ip_failures_window_seconds",
            "ip_generations_limit",
        ];
        given.extend(numbers.map(|name| (name, "1")));
        given.push((changed, value));
        check_variables(&Given(given)).err().map(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name_and_without_its_value() {
        assert_eq!(refused("policy", "legacy"), None);
        for (name, value) in [
            ("policy", "Strict"),
            ("policy", ""),
            ("registration", "closed"),
            ("accept_unbound_rows", "yes"),
            ("trusted_proxy_hops", "-1"),
            ("ip_failures_limit", "many"),
            ("admin_token", "canary-too-short"),
            ("admin_token", "ZmlmdGVlbiBtZW4gb24gdGhlIGRlYWQgbWFuJ3MgISE="),
            ("password_max_age_seconds", "0"),
            ("jwt_secret", "canary"),
            ("jwt_secret", "ZmlmdGVlbiBtZW4gb24gdGhlIGRlYWQgbWFuJ3MgISE="),
            ("encryption_key", ""),
        ] {
            let error = refused(name, value).unwrap_or_default();
            assert!(error.starts_with(&format!("variable {name}: ")), "{name}={value}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(*quoted(r"it's \ host=evil"), r"'it\'s \\ host=evil'");
    }
}
