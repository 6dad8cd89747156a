//! Texts with variables in them: `postgres://{{ database_host }}`.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// A text in which `{{ name }}` stands for a variable's value. What stands between two braces is a name, whatever it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    Variable(String),
}

impl Template {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its variables, as often as they stand in it: each is a read.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    /// The text with every variable's value.
    pub(crate) fn fill(&self, values: &BTreeMap<String, String>) -> Result<String> {
        let mut filled = String::new();
        for part in &self.parts {
            filled.push_str(match part {
                Part::Literal(text) => text,
                Part::Variable(name) => {
                    values.get(name).with_context(|| format!("`{self}`: there is no variable {name}"))?
                }
            });
        }
        Ok(filled)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| format!("`{text}`: close `{{{{` with `}}}}`"))?;
            parts.push(Part::Literal(before.to_owned()));
            parts.push(Part::Variable(name.trim().to_owned()));
            rest = after;
        }
        parts.push(Part::Literal(rest.to_owned()));
        Ok(Self { text, parts })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_braces_must_close() {
        let values = BTreeMap::from([("host".to_owned(), "db".to_owned()), ("port".to_owned(), "5432".to_owned())]);
        let template = |text: &str| Template::try_from(text.to_owned());
        let filled = template("postgres://{{ host }}:{{port}}").unwrap();
        assert_eq!(filled.fill(&values).unwrap(), "postgres://db:5432");
        assert_eq!(filled.variables().collect::<Vec<_>>(), ["host", "port"]);
        assert!(template("{{ nothing }}").unwrap().fill(&values).unwrap_err().to_string().contains("nothing"));
        assert!(template("{{ host").is_err());
        assert_eq!(template("a }} b").unwrap().fill(&values).unwrap(), "a }} b");
    }
}
