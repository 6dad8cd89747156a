//! The components: which there are, and how they are built.

use crate::cargo::{cargo, ensure_target, run};
use crate::{checkout, say};
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

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
    run(&mut build_command()?)
}

/// Builds all of them, and what only the tests of the local host need.
pub(crate) fn build_with_probe() -> Result<()> {
    run(build_command()?.args(["--package", "cofrap-host-probe"]))
}

/// Builds all of them, and what the benchmark measures them beside.
pub(crate) fn build_with_floor() -> Result<()> {
    run(build_command()?.args(["--package", "cofrap-bench-floor"]))
}

/// The command that builds all of them; adds the compilation target unless it is there.
pub(crate) fn build_command() -> Result<Command> {
    ensure_target(TARGET)?;
    say("building the components (the first time takes a few minutes)");
    let mut command = cargo();
    command.args(["build", "--profile", "component", "--target", TARGET]).args(package_arguments()?);
    Ok(command)
}
