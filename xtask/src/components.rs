//! The components: which there are, and how they are built.

use crate::cargo::{cargo, ensure_target, run};
use crate::{checkout, say};
use anyhow::{Context, Result};
use std::fs;

pub(crate) const TARGET: &str = "wasm32-wasip2";

/// The names of the folders in `components/`, in order.
pub(crate) fn names() -> Result<Vec<String>> {
    let folder = checkout().join("components");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// `--package` for each component.
pub(crate) fn package_arguments() -> Result<Vec<String>> {
    Ok(names()?.into_iter().flat_map(|name| ["--package".to_owned(), format!("cofrap-{name}")]).collect())
}

/// Builds all of them, as they ship.
pub(crate) fn build() -> Result<()> {
    build_packages(&package_arguments()?)
}

/// Builds all of them, and what only the tests of the local host need.
pub(crate) fn build_with_probe() -> Result<()> {
    let mut packages = package_arguments()?;
    packages.extend(["--package".to_owned(), "cofrap-host-probe".to_owned()]);
    build_packages(&packages)
}

fn build_packages(arguments: &[String]) -> Result<()> {
    ensure_target(TARGET)?;
    say("building the components (the first time takes a few minutes)");
    run(cargo().args(["build", "--profile", "component", "--target", TARGET]).args(arguments))
}
