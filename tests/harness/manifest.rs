//! What `spin.toml` says.

use crate::checkout::checkout;
use cofrap_host::Manifest;
use std::path::PathBuf;

/// The `.wasm` files that the manifest names.
pub fn component_files() -> Vec<PathBuf> {
    Manifest::read(&checkout().join("spin.toml")).expect("the manifest is readable").component_files().collect()
}

/// The variables that the manifest grants each component.
pub fn granted_variables() -> Vec<(String, Vec<String>)> {
    let manifest = Manifest::read(&checkout().join("spin.toml")).expect("the manifest is readable");
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    manifest.granted().map(|(component, names)| (component.to_owned(), owned(names))).collect()
}

/// The routes that the manifest names.
pub fn routes() -> Vec<String> {
    Manifest::read(&checkout().join("spin.toml"))
        .expect("the manifest is readable")
        .routes()
        .map(str::to_owned)
        .collect()
}
