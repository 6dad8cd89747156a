//! The configuration: Spin variables, read again for every request.

use cofrap_accounts::{Age, Settings};
use cofrap_crypto::{Keyring, KeyringError};
use spin_sdk::variables;
use zeroize::Zeroizing;

/// What a connection is given unless `postgres_options` says otherwise: an answer, good or bad, comes within seconds,
/// and the server speaks UTC.
const CONNECTION_DEFAULTS: &str = "connect_timeout=3 application_name=cofrap options='-c statement_timeout=3000 \
     -c lock_timeout=2000 -c idle_in_transaction_session_timeout=5000 -c timezone=UTC'";

/// What a function that holds secrets is configured with.
pub(crate) struct Config {
    /// Where the database is, with the password to it.
    pub(crate) postgres_address: Zeroizing<String>,
    pub(crate) keyring: Keyring,
    pub(crate) settings: Settings,
}

/// A variable that cannot be used. Its value is never shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("variable {name}: {problem}")]
    Variable { name: &'static str, problem: String },
    #[error("variable encryption_key: {0}")]
    EncryptionKey(#[from] KeyringError),
}

impl Config {
    pub(crate) fn read() -> Result<Self, ConfigError> {
        Ok(Self {
            postgres_address: postgres_address()?,
            keyring: get("encryption_key")?.parse()?,
            settings: Settings { password_max_age: Age::from_seconds(number("password_max_age_seconds")?) },
        })
    }
}

/// Later parameters win, so the operator's options can replace the defaults.
fn postgres_address() -> Result<Zeroizing<String>, ConfigError> {
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
        address.push_str(&quoted(&get(name)?));
        address.push(' ');
    }
    address.push_str(CONNECTION_DEFAULTS);
    address.push(' ');
    address.push_str(&get("postgres_options")?);
    Ok(address)
}

/// A value in the quotes of a libpq connection string.
fn quoted(value: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")))
}

fn number(name: &'static str) -> Result<u64, ConfigError> {
    get(name)?.trim().parse().map_err(|_| ConfigError::Variable { name, problem: "a whole number is expected".into() })
}

fn get(name: &'static str) -> Result<Zeroizing<String>, ConfigError> {
    variables::get(name).map(Zeroizing::new).map_err(|error| ConfigError::Variable { name, problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        assert_eq!(*quoted(r"it's \ host=evil"), r"'it\'s \\ host=evil'");
    }
}
