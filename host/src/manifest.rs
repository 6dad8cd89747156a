//! `spin.toml`, version 2: as much of it as this host offers. Anything else in it is an error.

use crate::variables::{VariableSource, resolve};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A parsed manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    spin_manifest_version: u32,
    #[expect(dead_code, reason = "checked to be there, as Spin does")]
    application: Application,
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, VariableDeclaration>,
    trigger: Triggers,
    /// The components by name.
    #[serde(rename = "component")]
    pub(crate) components: BTreeMap<String, ComponentDeclaration>,
    /// The folder that the manifest's paths start from.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for people")]
struct Application {
    name: String,
    version: Option<String>,
    description: Option<String>,
    authors: Option<Vec<String>>,
}

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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    http: Vec<HttpTrigger>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpTrigger {
    pub(crate) route: String,
    pub(crate) component: String,
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
    pub(crate) allowed_outbound_hosts: Vec<String>,
    #[serde(default)]
    pub(crate) variables: BTreeMap<String, String>,
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

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// When it cannot be read, or asks for something that this host does not offer.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let manifest: Self = toml::from_str(&text)
            .with_context(|| format!("{}: this host does not offer everything it asks for", path.display()))?;
        if manifest.spin_manifest_version != 2 {
            bail!("{}: spin_manifest_version must be 2", path.display());
        }
        for trigger in manifest.http_triggers() {
            if !manifest.components.contains_key(&trigger.component) {
                bail!("{}: route {} names the unknown component {}", path.display(), trigger.route, trigger.component);
            }
        }
        Ok(Self { folder, ..manifest })
    }

    /// The components' files.
    pub fn component_files(&self) -> impl Iterator<Item = PathBuf> {
        self.components.values().map(|component| self.folder.join(&component.source))
    }

    /// Whether the application has a variable of that name.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// The application's variables with their values: of several sources, the first that has one wins; then the default.
    ///
    /// # Errors
    /// When a required variable has no value; the message names it.
    pub fn resolve(&self, sources: &[VariableSource]) -> Result<VariableSource> {
        resolve(&self.variables, sources)
    }

    /// The routes, as they are written.
    pub fn routes(&self) -> impl Iterator<Item = &str> {
        self.trigger.http.iter().map(|trigger| trigger.route.as_str())
    }

    pub(crate) fn http_triggers(&self) -> &[HttpTrigger] {
        &self.trigger.http
    }
}
