//! Variables by the names of the manifest: what the environment sets, and what leads components to a database.

use anyhow::{Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::ffi::OsString;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Values by name, as the manifest spells it: in lower case.
pub type VariableSource = BTreeMap<String, String>;

/// The prefix of an environment variable that sets a variable.
pub const PREFIX: &str = "SPIN_VARIABLE_";

/// What a URL must not hold as it is. RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The variables that this process's environment sets.
#[expect(clippy::disallowed_methods, reason = "Spin reads the environment")]
#[must_use]
pub fn from_environment() -> VariableSource {
    let text = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
    named_variables(std::env::vars_os().filter_map(text))
}

/// The variables that lead components to a database, by this project's names: a URL, and the one place that it names. Whether TLS is
/// spoken is said where it was decided.
///
/// # Errors
/// When the database is not at one host that a component can reach, or its password is no text.
pub fn database_variables(config: &Config) -> Result<VariableSource> {
    let host = match config.get_hosts() {
        [Host::Tcp(host)] if config.get_hostaddrs().is_empty() => host.clone(),
        _ => bail!("the database URL must name one host: components reach no socket files and no second host"),
    };
    let place = format!("{host}:{}", config.get_ports().first().copied().unwrap_or(5432));
    let user = config.get_user().unwrap_or_default();
    let password = String::from_utf8(config.get_password().unwrap_or_default().to_vec())?;
    let database = config.get_dbname().unwrap_or(user);
    let [user, password, database] = [user, &password, database].map(|text| utf8_percent_encode(text, RESERVED));
    let tls = match config.get_ssl_mode() {
        SslMode::Disable => "?sslmode=disable",
        SslMode::Require => "?sslmode=require",
        _ => "",
    };
    Ok(VariableSource::from([
        ("database_url".to_owned(), format!("postgres://{user}:{password}@{place}/{database}{tls}")),
        ("database_host".to_owned(), place),
    ]))
}

/// Those of some pairs that set a variable, by the names that the manifest has.
pub fn named_variables(pairs: impl IntoIterator<Item = (String, String)>) -> VariableSource {
    let name_of = |key: &str| key.strip_prefix(PREFIX).map(str::to_lowercase);
    pairs.into_iter().filter_map(|(key, value)| name_of(&key).map(|name| (name, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_prefixed_names_are_variables() {
        let pairs = [("SPIN_VARIABLE_A_KEY", "1"), ("A_KEY", "2"), ("PATH", "3")];
        assert_eq!(
            named_variables(pairs.map(|(name, value)| (name.into(), value.into()))),
            VariableSource::from([("a_key".to_owned(), "1".to_owned())])
        );
    }

    #[test]
    fn a_database_s_address_is_a_url_whatever_the_password() {
        let mut config = Config::new();
        config.host("127.0.0.1").port(6432).user("u").password("@/ ?#%'\\+").dbname("d e");
        let variables = database_variables(&config).unwrap();
        assert_eq!(variables["database_host"], "127.0.0.1:6432");
        let read: Config = variables["database_url"].parse().unwrap();
        assert_eq!((read.get_password(), read.get_dbname()), (config.get_password(), Some("d e")));
    }
}
