//! Variables: where their values come from, and what each component sees of them.

use crate::manifest::{ComponentDeclaration, VariableDeclaration};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Values by name, as the manifest spells it: in lower case.
pub type VariableSource = BTreeMap<String, String>;

/// The prefix of an environment variable that sets a variable.
const PREFIX: &str = "SPIN_VARIABLE_";

/// The variables that this process's environment sets.
#[expect(clippy::disallowed_methods, reason = "Spin reads the environment")]
#[must_use]
pub fn from_environment() -> VariableSource {
    let text = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value.into_string().ok()?));
    named(std::env::vars_os().filter_map(text))
}

/// The variables that a `.env` file sets; none when there is no file.
///
/// # Errors
/// When the file cannot be read or parsed.
pub fn read_dotenv(path: &Path) -> Result<VariableSource> {
    if !path.exists() {
        return Ok(VariableSource::new());
    }
    let pairs = dotenvy::from_path_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| anyhow!("{} is not a list of NAME=value lines", path.display()))?;
    Ok(named(pairs))
}

/// The variables that lead components to a database, by this project's names.
///
/// # Errors
/// When the database is not at one host that a component can reach, or its password is no text.
pub fn postgres_variables(config: &Config) -> Result<VariableSource> {
    let host = match config.get_hosts() {
        [Host::Tcp(host)] if config.get_hostaddrs().is_empty() => host.clone(),
        _ => bail!("the database URL must name one host: components reach no socket files and no second host"),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let password = String::from_utf8(config.get_password().unwrap_or_default().to_vec())?;
    Ok([
        ("postgres_host", host),
        ("postgres_port", port.to_string()),
        ("postgres_db", text(config.get_dbname().or(config.get_user()))),
        ("postgres_user", text(config.get_user())),
        ("postgres_password", password),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into())
}

fn named(pairs: impl IntoIterator<Item = (String, String)>) -> VariableSource {
    let name_of = |key: &str| key.strip_prefix(PREFIX).map(str::to_lowercase);
    pairs.into_iter().filter_map(|(key, value)| name_of(&key).map(|name| (name, value))).collect()
}

/// The application's variables with their values.
pub(crate) fn resolve(
    declared: &BTreeMap<String, VariableDeclaration>,
    sources: &[VariableSource],
) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for (name, declaration) in declared {
        if declaration.required == declaration.default.is_some() {
            bail!("variable {name}: either `required = true` or a `default`");
        }
        let given = sources.iter().find_map(|source| source.get(name)).or(declaration.default.as_ref());
        let value = given.ok_or_else(|| {
            anyhow!("variable {name} is required: set {PREFIX}{} or put it in .env", name.to_uppercase())
        })?;
        values.insert(name.clone(), value.clone());
    }
    Ok(values)
}

/// What one component sees: its own variables, with their templates filled in.
pub(crate) fn of_component(
    component: &ComponentDeclaration,
    values: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let fill = |(name, template): (&String, &String)| Ok((name.clone(), fill_template(template, values)?));
    component.variables.iter().map(fill).collect()
}

/// Replaces every `{{ name }}`.
pub(crate) fn fill_template(template: &str, values: &BTreeMap<String, String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").with_context(|| format!("`{template}`: `{{{{` without `}}}}`"))?;
        let name = name.trim();
        filled.push_str(before);
        filled.push_str(values.get(name).with_context(|| format!("`{template}`: there is no variable {name}"))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> BTreeMap<String, VariableDeclaration> {
        let required = VariableDeclaration { required: true, ..Default::default() };
        let optional = VariableDeclaration { default: Some("default".into()), ..Default::default() };
        BTreeMap::from([("a_key".into(), required), ("other".into(), optional)])
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
        std::fs::write(&path, "no equals sign").unwrap();
        assert!(read_dotenv(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_dotenv(&path).unwrap(), source(&[]));
    }

    #[test]
    fn templates_are_filled_with_declared_variables_only() {
        let values = source(&[("host", "db"), ("port", "5432")]);
        assert_eq!(fill_template("postgres://{{ host }}:{{port}}", &values).unwrap(), "postgres://db:5432");
        assert!(fill_template("{{ nothing }}", &values).unwrap_err().to_string().contains("nothing"));
        assert!(fill_template("{{ host", &values).is_err());
    }
}
