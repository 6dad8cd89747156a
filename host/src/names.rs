//! Names in a manifest, as Spin takes them, and declarations of variables.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariableDeclaration {
    pub(crate) default: Option<String>,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default, rename = "secret")]
    #[expect(dead_code, reason = "this host never shows a variable")]
    pub(crate) is_secret: bool,
    #[expect(dead_code, reason = "for people")]
    pub(crate) description: Option<String>,
}

/// A component's id: words with `-` between them. Spin 3.0 to 4.0: each word starts with an ASCII letter, goes on with letters and
/// digits, and is of one case.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub(crate) struct ComponentId(String);

/// A variable's name: the same with `_`, and in lower case.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
pub(crate) struct VariableName(String);

impl ComponentId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ComponentId {
    type Error = String;

    fn try_from(id: String) -> Result<Self, String> {
        check_words(&id, '-').map_err(|problem| format!("component id `{id}`: {problem}"))?;
        Ok(Self(id))
    }
}

impl VariableName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VariableName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_lower = !name.contains(|c: char| c.is_ascii_uppercase());
        let checked = if is_lower { check_words(&name, '_') } else { Err("write it in lower case".to_owned()) };
        checked.map_err(|problem| format!("variable name `{name}`: {problem}"))?;
        Ok(Self(name))
    }
}

fn check_words(id: &str, delimiter: char) -> Result<(), String> {
    for word in id.split(delimiter) {
        let Some(first) = word.chars().next() else {
            return Err(format!("give it words with one `{delimiter}` between two of them"));
        };
        if !first.is_ascii_alphabetic() {
            return Err(format!("let the word `{word}` start with a letter: Spin refuses any other"));
        }
        if let Some(odd) = word.chars().find(|c| !c.is_ascii_alphanumeric()) {
            return Err(format!(
                "take `{odd}` out: words have letters and digits, and `{delimiter}` stands between them"
            ));
        }
        if word.contains(|c: char| c.is_ascii_alphabetic() && c.is_ascii_uppercase() != first.is_ascii_uppercase()) {
            return Err(format!("write the word `{word}` in one case"));
        }
    }
    Ok(())
}
