//! `spin.toml`, version 2: as much of it as this host offers. What Spin refuses is refused here too, with its line; so is what
//! this host does not offer.

use crate::names::{ComponentId, VariableDeclaration, VariableName};
use crate::postgres::AllowedHost;
use crate::template::Template;
use crate::variables::resolve;
use anyhow::{Context, Result, anyhow, bail};
use cofrap_database::VariableSource;
use routefinder::RouteSpec;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A parsed manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    spin_manifest_version: Spanned<u32>,
    pub(crate) application: Application,
    #[serde(default)]
    pub(crate) variables: BTreeMap<VariableName, Spanned<VariableDeclaration>>,
    trigger: Triggers,
    /// The components by id.
    #[serde(rename = "component")]
    pub(crate) components: BTreeMap<ComponentId, ComponentDeclaration>,
    /// The folder that the manifest's paths start from.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    #[expect(dead_code, reason = "for people")]
    description: Option<String>,
    #[expect(dead_code, reason = "for people")]
    authors: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    http: Vec<HttpTrigger>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpTrigger {
    pub(crate) route: RoutePattern,
    pub(crate) component: Spanned<ComponentId>,
    #[expect(dead_code, reason = "for people")]
    id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComponentDeclaration {
    pub(crate) source: PathBuf,
    #[expect(dead_code, reason = "for people")]
    description: Option<String>,
    #[serde(default)]
    pub(crate) allowed_outbound_hosts: Vec<Spanned<OutboundHost>>,
    #[serde(default)]
    pub(crate) variables: BTreeMap<VariableName, Spanned<Template>>,
    #[expect(dead_code, reason = "`spin build` reads it")]
    build: Option<Build>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "`spin build` reads it")]
struct Build {
    command: String,
    workdir: Option<PathBuf>,
    watch: Option<Vec<String>>,
}

/// A route, as `routefinder` takes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RoutePattern(String);

/// `postgres://host:port`, possibly with variables in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Template")]
pub(crate) struct OutboundHost(Template);

impl RoutePattern {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern in the router's words, where a trailing `/...` is `/*`.
    pub(crate) fn to_spec(&self) -> Result<RouteSpec, String> {
        match self.0.strip_suffix("/...") {
            Some(prefix) => format!("{prefix}/*").parse(),
            None => self.0.parse(),
        }
    }
}

impl TryFrom<String> for RoutePattern {
    type Error = String;

    fn try_from(route: String) -> Result<Self, String> {
        let pattern = Self(route);
        if !pattern.0.starts_with('/') {
            return Err(format!("route `{}`: let it start with /", pattern.0));
        }
        pattern.to_spec().map_err(|problem| format!("route `{}`: {problem}", pattern.0))?;
        Ok(pattern)
    }
}

impl OutboundHost {
    pub(crate) const fn template(&self) -> &Template {
        &self.0
    }
}

impl TryFrom<Template> for OutboundHost {
    type Error = String;

    /// One without variables is read at once, as Spin does; one with variables when they have values.
    fn try_from(template: Template) -> Result<Self, String> {
        if template.variables().next().is_none() {
            AllowedHost::parse(template.as_str()).map_err(|error| error.to_string())?;
        }
        Ok(Self(template))
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it cannot be read, when Spin would refuse it, or when it asks for something that this host does not offer; the message
    /// has the file, the line and what to do.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        // The parser's own message shows the line.
        let manifest: Self = toml::from_str(&text)
            .map_err(|error| anyhow!("{}: Spin or this host refuses it: {error}", path.display()))?;
        if let Some((at, problem)) = manifest.first_problem() {
            let line = text[..at].lines().count().max(1);
            bail!("{}, line {line}: {problem}", path.display());
        }
        Ok(Self { folder, ..manifest })
    }

    /// What only shows when one part is held against another, with the byte where it stands.
    fn first_problem(&self) -> Option<(usize, String)> {
        if *self.spin_manifest_version.get_ref() != 2 {
            return Some((self.spin_manifest_version.span().start, "spin_manifest_version must be 2".to_owned()));
        }
        for (name, declaration) in &self.variables {
            let VariableDeclaration { required, default, .. } = declaration.get_ref();
            if *required == default.is_some() {
                let problem = format!("variable {}: give it either `required = true` or a `default`", name.as_str());
                return Some((declaration.span().start, problem));
            }
        }
        for trigger in self.http_triggers() {
            let component = trigger.component.get_ref();
            if !self.components.contains_key(component) {
                let problem = format!(
                    "route {} names the unknown component {}: declare [component.{1}]",
                    trigger.route.as_str(),
                    component.as_str()
                );
                return Some((trigger.component.span().start, problem));
            }
        }
        let defaults: BTreeMap<_, _> = self
            .variables
            .iter()
            .filter_map(|(name, declaration)| Some((name.as_str().to_owned(), declaration.get_ref().default.clone()?)))
            .collect();
        for host in self.components.values().flat_map(|component| &component.allowed_outbound_hosts) {
            // With its defaults alone it must make sense too, as Spin has it.
            let filled = host.get_ref().template().fill(&defaults).ok();
            if let Some(error) = filled.and_then(|filled| AllowedHost::parse(&filled).err()) {
                return Some((host.span().start, format!("with the default of its variables: {error}")));
            }
        }
        self.components.values().find_map(|component| {
            let hosts = component.allowed_outbound_hosts.iter().map(|host| (host.span(), host.get_ref().template()));
            let variables = component.variables.values().map(|template| (template.span(), template.get_ref()));
            let mut templates = hosts.chain(variables);
            templates.find_map(|(span, template)| {
                let unknown = template.variables().find(|name| !self.declares(name))?;
                let problem = format!("`{template}`: declare the variable `{unknown}` under [variables]");
                Some((span.start, problem))
            })
        })
    }

    /// The components' files.
    pub fn component_files(&self) -> impl Iterator<Item = PathBuf> {
        self.components.values().map(|component| self.folder.join(&component.source))
    }

    /// Whether the application has a variable of that name.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.variables.keys().any(|declared| declared.as_str() == name)
    }

    /// The application's variables with their values: of several sources, the first that has one wins; then the default.
    ///
    /// # Errors
    /// When a required variable has no value; the message names it.
    pub fn resolve(&self, sources: &[VariableSource]) -> Result<VariableSource> {
        resolve(&self.variables, sources)
    }

    /// The variables that a component is granted.
    pub fn granted(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.components.iter().map(|(id, component)| {
            let names = component.variables.keys().map(VariableName::as_str);
            (id.as_str(), names.collect())
        })
    }

    /// The routes, as they are written.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.trigger.http.iter().map(|trigger| trigger.route.as_str())
    }

    pub(crate) fn http_triggers(&self) -> &[HttpTrigger] {
        &self.trigger.http
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Display;

    fn problem_of<T: TryFrom<String, Error: Display>>(text: &str) -> Option<String> {
        T::try_from(text.to_owned()).err().map(|error| error.to_string())
    }

    #[test]
    fn ids_are_what_spin_takes_for_one() {
        for id in ["a", "frontend", "generate-mfa-v2", "a1-b2", "HTTP-api"] {
            assert_eq!(problem_of::<ComponentId>(id), None, "{id}");
        }
        for (id, remedy) in [
            ("generate-2fa-v2", "let the word `2fa` start with a letter"),
            ("verify-2fa", "let the word `2fa` start with a letter"),
            ("a_b", "take `_` out"),
            ("a.b", "take `.` out"),
            ("é", "start with a letter"),
            ("a--b", "one `-` between"),
            ("-a", "one `-` between"),
            ("", "one `-` between"),
            ("aB", "write the word `aB` in one case"),
        ] {
            let problem = problem_of::<ComponentId>(id).unwrap_or_default();
            assert!(problem.contains(remedy), "{id}: {problem}");
        }
    }

    #[test]
    fn variable_names_are_lower_case_words() {
        for name in ["a", "database_url", "a1_b2"] {
            assert_eq!(problem_of::<VariableName>(name), None, "{name}");
        }
        for name in ["A", "a-b", "a__b", "a_", "_a", "a_2b", "2a", ""] {
            assert!(problem_of::<VariableName>(name).is_some(), "{name}");
        }
    }
}
