//! The locked application: what Spin makes of `spin.toml` before it runs or pushes it, as JSON.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What Spin calls the only kind of trigger that there is.
const HTTP: &str = "http";

pub(super) struct Application(Value);

pub(super) struct Component<'a>(&'a mut Value);

impl Application {
    /// Reads a manifest that [`cofrap_host::Manifest`] accepts.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: Value = toml::from_str(&text)?;
        let application = &manifest["application"];
        let triggers = triggers(&manifest["trigger"][HTTP]);
        let mut components: Vec<_> = mapped(&manifest["component"], component).into_values().collect();
        // As the manifest has them, which a table here has not: in the order of their first routes.
        components.sort_by_key(|component| {
            triggers.iter().position(|trigger| trigger["trigger_config"]["component"] == component["id"])
        });
        Ok(Self(json!({
            "spin_lock_version": 0,
            "metadata": {
                "name": application["name"],
                "version": application["version"],
                "description": application["description"],
                "triggers": {},
                "trigger": {"type": HTTP},
            },
            "variables": mapped(&manifest["variables"], variable),
            "triggers": triggers,
            "components": components,
        })))
    }

    pub(super) fn name(&self) -> Result<&str> {
        self.0["metadata"]["name"].as_str().context("spin.toml has no application.name")
    }

    pub(super) fn version(&self) -> Result<&str> {
        self.0["metadata"]["version"].as_str().context("spin.toml has no application.version")
    }

    pub(super) fn components_mut(&mut self) -> impl Iterator<Item = Component<'_>> {
        self.0["components"].as_array_mut().into_iter().flatten().map(Component)
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.0)?)
    }
}

impl Component<'_> {
    /// The file that it was built to.
    pub(super) fn source(&self) -> Result<&str> {
        self.0["source"].as_str().with_context(|| format!("component {} is no file", self.0["id"]))
    }

    /// Names it by its content in the place of its file.
    pub(super) fn lock(&mut self, digest: &str) {
        self.0["source"] = json!({"content_type": "application/wasm", "digest": digest});
    }
}

/// The entries of a table, each made anew from its name and itself.
fn mapped(table: &Value, make: impl Fn(&str, &Value) -> Value) -> Map<String, Value> {
    let entries = table.as_object().into_iter().flatten();
    entries.map(|(name, value)| (name.clone(), make(name, value))).collect()
}

fn variable(_: &str, declaration: &Value) -> Value {
    let mut locked = declaration.clone();
    if let Some(locked) = locked.as_object_mut() {
        locked.remove("required");
    }
    locked
}

/// Each has a name: that of its component, or where that is taken a number.
fn triggers(list: &Value) -> Vec<Value> {
    let (mut names, mut counter) = (BTreeSet::new(), 0);
    let locked = |trigger: &Value| {
        let natural = format!("{}-{HTTP}-trigger", trigger["component"].as_str().unwrap_or_default());
        let id = if names.insert(natural.clone()) {
            natural
        } else {
            counter += 1;
            format!("{HTTP}-trigger{counter}")
        };
        json!({"id": id, "trigger_type": HTTP, "trigger_config": trigger})
    };
    list.as_array().into_iter().flatten().map(locked).collect()
}

fn component(id: &str, declaration: &Value) -> Value {
    let metadata: Map<_, _> = ["allowed_outbound_hosts", "build", "description"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), declaration.get(name)?.clone())))
        .collect();
    let mut locked = json!({"id": id, "metadata": metadata, "source": declaration["source"]});
    if let Some(variables) = declaration.get("variables") {
        locked["config"] = variables.clone();
    }
    locked
}
