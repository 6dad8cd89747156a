//! The components: which there are, and how they are built.

use crate::cargo::{cargo, ensure_target, run};
use crate::checkout::checkout;
use anyhow::{Context, Result, bail};
use cofrap_database::say;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
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

/// Builds those of a checkout, there.
pub(crate) fn build_in(folder: &Path) -> Result<()> {
    run(&mut build_command_in(folder)?)
}

/// Builds all of them, and what only the tests of the local host need.
pub(crate) fn build_with_probe() -> Result<()> {
    run(build_command()?.args(["--package", "cofrap-host-probe"]))
}

/// Builds all of them, and what the benchmark measures them beside.
pub(crate) fn build_with_floor() -> Result<()> {
    run(build_command()?.args(["--package", "cofrap-bench-floor"]))
}

/// The command that builds all of them; adds the compilation target unless it is there. The same sources give the same bytes wherever they
/// lie: where a message of a panic would name a folder of this machine, it names another that is the same everywhere.
pub(crate) fn build_command() -> Result<Command> {
    build_command_in(checkout())
}

fn build_command_in(folder: &Path) -> Result<Command> {
    ensure_target(TARGET)?;
    say("building the components (the first time takes a few minutes)");
    let flags: Vec<_> =
        source_folders(folder)?.into_iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    let mut command = cargo();
    command.current_dir(folder);
    // They would take the place of the flags here and in `.cargo/config.toml`.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.args(["--config", &format!("target.{TARGET}.rustflags={}", serde_json::to_string(&flags)?)]);
    command.args(["build", "--profile", "component", "--target", TARGET]).args(package_arguments()?);
    Ok(command)
}

/// Where sources lie here, and what stands for that place in what is built.
fn source_folders(folder: &Path) -> Result<BTreeMap<String, &'static str>> {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET];
    let output = cargo().current_dir(folder).args(arguments).output().context("cannot run `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let manifests = metadata["packages"].as_array().into_iter().flatten().filter_map(|package| {
        // Those of this project have no source.
        package["source"].as_str().and(package["manifest_path"].as_str())
    });
    let registries = manifests.filter_map(|manifest| Path::new(manifest).parent()?.parent()?.to_str());
    let mut folders: BTreeMap<_, _> = registries.map(|folder| (folder.to_owned(), "/cargo")).collect();
    folders.insert(folder.display().to_string(), "/cofrap");
    Ok(folders)
}
