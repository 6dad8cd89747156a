//! The configuration: Spin variables, read again for every request. Each read costs the platform, so there are few.

use crate::database_url::{DatabaseUrl, DatabaseUrlError, is_host_and_port};
use crate::operator_settings::{OperatorSettings, SettingsError};
use crate::platform::release_while_hashing;
use cofrap_accounts::{AdministrationKeys, IssuanceKeys, LoginKeys, MetricsKeys, OperatorKeys};
use cofrap_crypto::{KeyListError, Keyring, SharedSecret, SharedSecretTooShort, TokenKeys};
use spin_sdk::variables::Error;
use zeroize::Zeroizing;

/// Why a variable cannot be used. Its value is never shown.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It has no value.
    #[error("variable {name}: {problem}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// `settings` cannot be used.
    #[error("variable settings: {0}")]
    Settings(#[from] SettingsError),
    /// The database's address cannot be used.
    #[error("variable database_url: {0}")]
    DatabaseUrl(#[from] DatabaseUrlError),
    /// `database_host` is not exactly one host and port.
    #[error("variable database_host: write host:port, like 127.0.0.1:5432 (a name or an IPv4 address)")]
    DatabaseHost,
    /// `database_url` and `database_host` name different hosts.
    #[error("variable database_url: its host and port are not those of database_host")]
    OtherHost,
    /// A list of keys is malformed.
    #[error("variable {name}: {error}")]
    Keys {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        error: KeyListError,
    },
    /// A token is too short.
    #[error("variable {name}: {error}")]
    Token {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        error: SharedSecretTooShort,
    },
    /// One text is used for two secrets, of which one travels in requests.
    #[error("variable {0}: it is also a key or another token: make another with `openssl rand -base64 32`")]
    TokenIsKey(&'static str),
    /// The same key would sign tokens and encrypt stored secrets.
    #[error("variable jwt_secret: it shares a key with encryption_key: make another with `openssl rand -base64 32`")]
    SharedKey,
}

impl ConfigError {
    /// The variable that it is about.
    #[must_use]
    pub const fn variable(&self) -> &'static str {
        match self {
            Self::Variable { name, .. }
            | Self::Keys { name, .. }
            | Self::Token { name, .. }
            | Self::TokenIsKey(name) => name,
            Self::Settings(_) => "settings",
            Self::DatabaseUrl(_) | Self::OtherHost => "database_url",
            Self::DatabaseHost => "database_host",
            Self::SharedKey => "jwt_secret",
        }
    }
}

/// A source of variables.
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
        // The error's derived `Debug` would add the code that escapes texts.
        spin_sdk::variables::get(name).map(Zeroizing::new).map_err(|error| match error {
            Error::InvalidName(problem)
            | Error::Undefined(problem)
            | Error::Provider(problem)
            | Error::Other(problem) => ConfigError::Variable { name, problem },
        })
    }
}

/// Reads the keys of one kind of operation, and no others.
pub trait ReadKeys: Sized {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigError`]
    fn read(variables: &impl Variables, settings: &OperatorSettings) -> Result<Self, ConfigError>;
}

impl ReadKeys for TokenKeys {
    fn read(variables: &impl Variables, _: &OperatorSettings) -> Result<Self, ConfigError> {
        let name = "jwt_secret";
        variables.get(name)?.parse().map_err(|error| ConfigError::Keys { name, error })
    }
}

impl ReadKeys for Keyring {
    fn read(variables: &impl Variables, settings: &OperatorSettings) -> Result<Self, ConfigError> {
        let name = "encryption_key";
        let keyring: Self = variables.get(name)?.parse().map_err(|error| ConfigError::Keys { name, error })?;
        Ok(keyring.with_unbound(settings.unbound_rows).with_pause(release_while_hashing))
    }
}

impl ReadKeys for LoginKeys {
    fn read(variables: &impl Variables, settings: &OperatorSettings) -> Result<Self, ConfigError> {
        let (keyring, tokens) = (Keyring::read(variables, settings)?, TokenKeys::read(variables, settings)?);
        if keyring.shares_a_key_with(&tokens) {
            return Err(ConfigError::SharedKey);
        }
        Ok(Self { keyring, tokens })
    }
}

impl ReadKeys for IssuanceKeys {
    fn read(variables: &impl Variables, settings: &OperatorSettings) -> Result<Self, ConfigError> {
        let LoginKeys { keyring, tokens } = LoginKeys::read(variables, settings)?;
        Ok(Self { keyring, tokens, operator: operator(variables)? })
    }
}

impl ReadKeys for AdministrationKeys {
    fn read(variables: &impl Variables, settings: &OperatorSettings) -> Result<Self, ConfigError> {
        Ok(Self { keyring: Keyring::read(variables, settings)?, operator: operator(variables)? })
    }
}

impl ReadKeys for OperatorKeys {
    fn read(variables: &impl Variables, _: &OperatorSettings) -> Result<Self, ConfigError> {
        Ok(Self { operator: operator(variables)? })
    }
}

impl ReadKeys for MetricsKeys {
    fn read(variables: &impl Variables, _: &OperatorSettings) -> Result<Self, ConfigError> {
        Ok(Self { token: token(variables, "metrics_token")? })
    }
}

fn operator(variables: &impl Variables) -> Result<Option<SharedSecret>, ConfigError> {
    token(variables, "admin_token")
}

/// A token; an empty one is none.
fn token(variables: &impl Variables, name: &'static str) -> Result<Option<SharedSecret>, ConfigError> {
    let token = variables.get(name)?;
    let given = |token| SharedSecret::new(token).map_err(|error| ConfigError::Token { name, error });
    if token.is_empty() { Ok(None) } else { given(token).map(Some) }
}

impl OperatorSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError::Settings`]
    pub fn read(variables: &impl Variables) -> Result<Self, ConfigError> {
        Ok(variables.get("settings")?.parse::<Self>()?)
    }
}

/// The database's URL as the platform takes it.
pub(crate) fn connection_string(variables: &impl Variables) -> Result<Zeroizing<String>, ConfigError> {
    Ok(DatabaseUrl::parse(&variables.get("database_url")?)?.connection_string())
}

/// The same, if it leads to the host of `database_host`, from which Spin's allow-list is made: a wildcard or a network there would
/// let a component connect elsewhere. Health and every start check this; a request saves the look-up.
pub(crate) fn checked_connection_string(variables: &impl Variables) -> Result<Zeroizing<String>, ConfigError> {
    let url = DatabaseUrl::parse(&variables.get("database_url")?)?;
    let host = variables.get("database_host")?;
    if !is_host_and_port(&host) {
        return Err(ConfigError::DatabaseHost);
    }
    let is_same = url.host_and_port().eq_ignore_ascii_case(&host);
    if is_same { Ok(url.connection_string()) } else { Err(ConfigError::OtherHost) }
}

/// Reads every variable of any function, so that a mistake is reported at the start and not at the first request.
///
/// # Errors
/// The [`ConfigError`] of the first that cannot be used.
pub fn check_variables(variables: &impl Variables) -> Result<OperatorSettings, ConfigError> {
    let settings = OperatorSettings::read(variables)?;
    checked_connection_string(variables)?;
    IssuanceKeys::read(variables, &settings)?;
    MetricsKeys::read(variables, &settings)?;
    let secrets = [
        ("admin_token", ["encryption_key", "jwt_secret", "metrics_token"]),
        ("metrics_token", ["encryption_key", "jwt_secret", ""]),
    ];
    for (name, others) in secrets {
        let token = variables.get(name)?;
        for other in others.into_iter().filter(|other| !token.is_empty() && !other.is_empty()) {
            if variables.get(other)?.split(',').any(|key| key.trim() == token.as_str()) {
                return Err(ConfigError::TokenIsKey(name));
            }
        }
    }
    Ok(settings)
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
        let given = vec![
            ("settings", "policy=strict"),
            ("database_url", "postgres://functions:canary@127.0.0.1:5432/accounts"),
            ("database_host", "127.0.0.1:5432"),
            ("encryption_key", "ZmlmdGVlbiBtZW4gb24gdGhlIGRlYWQgbWFuJ3MgISE="),
            ("jwt_secret", "eW8gaG8gaG8gYW5kIGEgYm90dGxlIG9mIHJ1bSAhISE="),
            (changed, value),
        ];
        check_variables(&Given(given)).err().map(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name_and_without_its_value() {
        assert_eq!(refused("settings", "policy=legacy"), None);
        for (name, value) in [
            ("settings", ""),
            ("settings", "policy=canary"),
            ("database_url", ""),
            ("database_url", "canary"),
            ("database_url", "postgres://functions:canary@127.0.0.1:5433/accounts"),
            ("database_url", "postgres://functions:canary@other.example:5432/accounts"),
            ("database_host", ""),
            ("database_host", "127.0.0.1"),
            ("database_host", "*:5432"),
            ("admin_token", "canary-too-short"),
            ("admin_token", "ZmlmdGVlbiBtZW4gb24gdGhlIGRlYWQgbWFuJ3MgISE="),
            ("metrics_token", "canary-too-short"),
            ("metrics_token", "eW8gaG8gaG8gYW5kIGEgYm90dGxlIG9mIHJ1bSAhISE="),
            ("jwt_secret", "canary"),
            ("jwt_secret", "ZmlmdGVlbiBtZW4gb24gdGhlIGRlYWQgbWFuJ3MgISE="),
            ("encryption_key", ""),
        ] {
            let error = refused(name, value).unwrap_or_default();
            assert!(error.starts_with(&format!("variable {name}: ")), "{name}={value}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
