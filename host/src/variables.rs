//! Variables: where their values come from, and what each component sees of them.

use crate::manifest::{VariableDeclaration, VariableName};
use anyhow::{Context, Result, anyhow, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use toml::Spanned;

/// Values by name, as the manifest spells it: in lower case.
pub type VariableSource = BTreeMap<String, String>;

/// The prefix of an environment variable that sets a variable.
const PREFIX: &str = "SPIN_VARIABLE_";

/// What a URL must not hold as it is. RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The variables that this process's environment sets.
#[expect(clippy::disallowed_methods, reason = "Spin reads the environment")]
#[must_use]
pub fn from_environment() -> VariableSource {
    let text = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
    named(std::env::vars_os().filter_map(text))
}

/// The variables that a `.env` file sets; none when there is no file. Of a file with one bad line, Spin takes nothing at all.
///
/// # Errors
/// When the file cannot be read or parsed, with the line, or sets a variable twice.
pub fn read_dotenv(path: &Path) -> Result<VariableSource> {
    if !path.exists() {
        return Ok(VariableSource::new());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let pairs = parse_dotenv(&text).ok_or_else(|| {
        // What the parser says has the value in it.
        let bad = text.lines().position(|line| parse_dotenv(line).is_none()).unwrap_or(0);
        let name = text.lines().nth(bad).and_then(|line| line.split_once('=')).map_or("", |(name, _)| name.trim());
        anyhow!(
            "{}, line {} ({name}): write NAME=value; a value with spaces needs quotes: NAME=\"one two\"",
            path.display(),
            bad + 1
        )
    })?;
    let mut names: Vec<_> = pairs.iter().map(|(name, _)| name).filter(|name| name.starts_with(PREFIX)).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows().find(|[one, other]| one == other) {
        bail!("{}: {name} stands in two lines: take one of them out", path.display());
    }
    Ok(named(pairs))
}

fn parse_dotenv(text: &str) -> Option<Vec<(String, String)>> {
    dotenvy::from_read_iter(text.as_bytes()).collect::<Result<_, _>>().ok()
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

fn named(pairs: impl IntoIterator<Item = (String, String)>) -> VariableSource {
    let name_of = |key: &str| key.strip_prefix(PREFIX).map(str::to_lowercase);
    pairs.into_iter().filter_map(|(key, value)| name_of(&key).map(|name| (name, value))).collect()
}

/// The application's variables with their values.
pub(crate) fn resolve(
    declared: &BTreeMap<VariableName, Spanned<VariableDeclaration>>,
    sources: &[VariableSource],
) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (name, declaration) in declared {
        let name = name.as_str();
        let given = sources.iter().find_map(|source| source.get(name)).or(declaration.get_ref().default.as_ref());
        let value = given.ok_or_else(|| {
            anyhow!("variable {name} is required: set {PREFIX}{} or put it in .env", name.to_uppercase())
        })?;
        values.insert(name.to_owned(), value.clone());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> BTreeMap<VariableName, Spanned<VariableDeclaration>> {
        let required = VariableDeclaration { required: true, ..Default::default() };
        let optional = VariableDeclaration { default: Some("default".into()), ..Default::default() };
        let name = |text: &str| VariableName::try_from(text.to_owned()).unwrap();
        BTreeMap::from([(name("a_key"), Spanned::new(0..0, required)), (name("other"), Spanned::new(0..0, optional))])
    }

    fn source(pairs: &[(&str, &str)]) -> VariableSource {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_first_source_wins_then_the_default() {
        let values =
            resolve(&declared(), &[source(&[]), source(&[("a_key", "1")]), source(&[("a_key", "2")])]).unwrap();
        assert_eq!(values, source(&[("a_key", "1"), ("other", "default")]));
    }

    #[test]
    fn a_required_variable_without_a_value_stops_the_start_with_its_name() {
        let error = resolve(&declared(), &[]).unwrap_err().to_string();
        assert!(error.contains("a_key") && error.contains("SPIN_VARIABLE_A_KEY"), "{error}");
    }

    #[test]
    fn only_prefixed_names_are_variables() {
        let pairs = [("SPIN_VARIABLE_A_KEY", "1"), ("A_KEY", "2"), ("PATH", "3")];
        assert_eq!(named(pairs.map(|(name, value)| (name.into(), value.into()))), source(&[("a_key", "1")]));
    }

    #[test]
    fn a_dotenv_file_has_lines_comments_and_quotes_and_need_not_be_there() {
        let path = std::env::temp_dir().join(format!("cofrap-dotenv-{}", std::process::id()));
        let text = "# a comment\nSPIN_VARIABLE_A_KEY=1=\nOTHER=2\nSPIN_VARIABLE_OTHER=\"a \\\"b\\\" \\$c\"\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(read_dotenv(&path).unwrap(), source(&[("a_key", "1="), ("other", "a \"b\" $c")]));
        for (text, said) in [
            ("no equals sign", "line 1 ()"),
            (
                "# one\nSPIN_VARIABLE_A_KEY=canary two\n",
                "line 2 (SPIN_VARIABLE_A_KEY): write NAME=value; a value with spaces",
            ),
            ("SPIN_VARIABLE_A_KEY=1\nSPIN_VARIABLE_A_KEY=canary\n", "SPIN_VARIABLE_A_KEY stands in two lines"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_dotenv(&path).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("canary"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_dotenv(&path).unwrap(), source(&[]));
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
