//! `check`: what needs no test run.

mod circles;

use crate::cargo::{cargo, describe, ensure_target, run};
use crate::checkout::checkout;
use crate::components::{TARGET, names, package_arguments};
use crate::{fuzz, manifest};
use anyhow::{Context, Result, bail};
use cofrap_database::say;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A component is a door: longer than this, it decides something.
const DOOR_LINES: usize = 30;

/// A target that has no standard library.
const BARE_TARGET: &str = "wasm32v1-none";

pub(crate) fn check() -> Result<()> {
    say("structure");
    structure()?;
    say("format");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    say("lints of the native crates");
    run(cargo().args(["clippy", "--all-targets", "--", "--deny", "warnings"]))?;
    // It is no default member: nothing else compiles it but `bench`.
    run(cargo().args(["clippy", "--package", "cofrap-bench-twin", "--", "--deny", "warnings"]))?;
    say("lints of the components");
    ensure_target(TARGET)?;
    let components = package_arguments()?;
    run(cargo().args(["clippy", "--target", TARGET]).args(components).args(["--", "--deny", "warnings"]))?;
    say("crypto without the standard library");
    ensure_target(BARE_TARGET)?;
    run(cargo().args(["build", "--package", "cofrap-crypto", "--no-default-features", "--target", BARE_TARGET]))?;
    say("licences");
    advisories()?;
    licences()?;
    fuzz::check()
}

/// What the design card names at the top; see "The design card" in ARCHITECTURE.md.
const TOP_LEVEL: [&str; 8] =
    ["Cargo.toml", "spin.toml", "components/", "shared/", "migrations/", "runtime-class/", "tests/", "README.md"];

/// What a function of the database has for a reason: names of partitions come from the calendar, those of tables that refer to accounts from the
/// catalogue, and one function compares the clocks.
const ALLOWED: [(&str, &str); 3] =
    [("keep_partitions.sql", "EXECUTE "), ("is_referred.sql", "EXECUTE "), ("clock_offset.sql", "_timestamp()")];

/// What the shape of the tree promises; see "Invariants" in ARCHITECTURE.md.
fn structure() -> Result<()> {
    let mut problems = manifest::problems()?;
    problems.extend(circles::problems()?);
    for entry in TOP_LEVEL {
        let path = checkout().join(entry);
        if !if entry.ends_with('/') { path.is_dir() } else { path.is_file() } {
            problems.push(format!("the design card names {entry}, which is not there"));
        }
    }
    problems.extend(long_files()?);
    for name in names()? {
        let source = read(&checkout().join("components").join(&name).join("src/lib.rs"))?;
        if source.lines().count() > DOOR_LINES {
            problems.push(format!("components/{name} is longer than {DOOR_LINES} lines"));
        }
        let module = name.replace('-', "_");
        let is_function = source.contains("cofrap_edge::serve::<Request");
        if is_function
            && !(source.contains(&format!("cofrap_api::routes::{};", module.to_uppercase()))
                && source.contains(&format!("cofrap_api::{module}::")))
        {
            problems.push(format!("components/{name} serves another route, or another request, than its own"));
        }
        for path in [format!("shared/api/src/{module}.rs"), format!("tests/acceptance/{module}.rs")] {
            if !checkout().join(&path).is_file() {
                problems.push(format!("components/{name} has no {path}"));
            }
        }
    }
    for path in rust_files(&checkout().join("shared"))?.into_iter().chain(rust_files(&checkout().join("components"))?) {
        let text = read(&path)?;
        let shown = path.strip_prefix(checkout()).unwrap_or(&path).display();
        // The one asks which functions are there, the other writes the calls.
        let is_store = path.ends_with("edge/src/pg_store/observation.rs") || path.ends_with("edge/build.rs");
        if !is_store && ["SELECT ", "INSERT INTO ", "DELETE FROM ", "UPDATE "].iter().any(|sql| text.contains(sql)) {
            problems.push(format!("{shown} has SQL, which belongs in migrations/sql/functions"));
        }
    }
    let functions = checkout().join("migrations/sql/functions");
    for entry in fs::read_dir(&functions).with_context(|| format!("cannot read {}", functions.display()))? {
        let path = entry?.path();
        let text = read(&path)?;
        // Times are parameters: the functions' clock counts, never the database's. What is put together at run time can be injected.
        for banned in ["now()", "CURRENT_", "LOCALTIME", "_timestamp()", "COMMIT", "EXECUTE ", "RETURN QUERY"] {
            let is_allowed = ALLOWED.iter().any(|(name, allowed)| path.ends_with(name) && *allowed == banned);
            if text.contains(banned) && !is_allowed {
                problems.push(format!("{} has {banned}", path.strip_prefix(checkout()).unwrap_or(&path).display()));
            }
        }
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

/// Folders of sources, with the most lines that a file there may have: a longer one holds two things.
const LONGEST: [(&str, usize); 9] = [
    ("bench", 400),
    ("components", 400),
    ("database", 400),
    ("host", 400),
    ("migrations", 400),
    ("shared", 400),
    ("take-over", 400),
    ("tests", 500),
    ("xtask", 400),
];

fn long_files() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (folder, most) in LONGEST {
        for path in files_with(&["css", "js", "rs"], &checkout().join(folder))? {
            let lines = read(&path)?.lines().count();
            if lines > most {
                let shown = path.strip_prefix(checkout()).unwrap_or(&path).display();
                problems.push(format!("{shown} has {lines} lines, more than {most}: it holds two things"));
            }
        }
    }
    Ok(problems)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    files_with(&["rs"], folder)
}

fn files_with(extensions: &[&str], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("node_modules") {
                files.extend(files_with(extensions, &path)?);
            }
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known)) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Known vulnerabilities: `RustSec`'s database is a repository that not every machine reaches.
fn advisories() -> Result<()> {
    let fetched = cargo().args(["deny", "fetch", "db"]).stderr(Stdio::null()).status();
    if !fetched.is_ok_and(|status| status.success()) {
        say("RustSec's database cannot be had here: advisories were not checked");
        return Ok(());
    }
    run(cargo().args(["deny", "--all-features", "check", "--disable-fetch", "advisories"]))
}

/// Licences, duplicate crates and sources.
fn licences() -> Result<()> {
    let mut deny = cargo();
    deny.args(["deny", "--all-features", "check", "bans", "licenses", "sources"]);
    run(&mut deny).with_context(|| {
        format!("if `{}` is missing, install it: `cargo install --locked cargo-deny`", describe(&deny))
    })
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
