//! Variables: where their values come from, and what each component sees of them.

use crate::names::{VariableDeclaration, VariableName};
use anyhow::{Context, Result, anyhow, bail};
use cofrap_database::{PREFIX, VariableSource, named_variables};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;

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
    Ok(named_variables(pairs))
}

fn parse_dotenv(text: &str) -> Option<Vec<(String, String)>> {
    dotenvy::from_read_iter(text.as_bytes()).collect::<Result<_, _>>().ok()
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
}
