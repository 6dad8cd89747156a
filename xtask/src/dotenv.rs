//! The checkout's `.env`: what `spin up` and `cargo xtask up` read variables from.

use crate::{checkout, say};
use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofrap_crypto::Keyring;
use cofrap_host::{VariableSource, read_dotenv};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use zeroize::Zeroizing;

const HEADER: &str = "# Secrets of this checkout, written by `cargo xtask`: keep the file, do not share it.\n";

/// What a first start makes up: 32 random bytes each.
const KEYS: [&str; 1] = ["encryption_key"];

/// Reads the file; keys that are neither there nor in the environment are made and added.
pub(crate) fn with_keys(environment: &VariableSource) -> Result<VariableSource> {
    let mut variables = read_dotenv(&path())?;
    let missing: VariableSource = KEYS
        .iter()
        .filter(|name| !variables.contains_key(**name) && !environment.contains_key(**name))
        .map(|name| ((*name).to_owned(), random_key()))
        .collect();
    if !missing.is_empty() {
        say(&format!("writing fresh keys to {}", path().display()));
        set(&missing)?;
        variables.extend(missing);
    }
    check_keys(environment, &variables)?;
    Ok(variables)
}

/// Sets variables in the file; its other lines stay.
pub(crate) fn set(variables: &VariableSource) -> Result<()> {
    let path = path();
    let old = if path.exists() { fs::read_to_string(&path).context("cannot read .env")? } else { HEADER.to_owned() };
    let is_replaced =
        |line: &str| variables.keys().any(|name| line.trim_start().starts_with(&format!("{}=", key(name))));
    let mut text = Zeroizing::new(String::new());
    for line in old.lines().filter(|line| !is_replaced(line)) {
        writeln!(text, "{line}")?;
    }
    for (name, value) in variables {
        writeln!(text, "{}={}", key(name), quoted(value))?;
    }
    write_private(&path, &text).with_context(|| format!("cannot write {}", path.display()))
}

/// Written beside and moved into place, so that a full disk does not cost the keys.
fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

fn check_keys(environment: &VariableSource, dotenv: &VariableSource) -> Result<()> {
    for name in KEYS {
        let (value, place) = match environment.get(name) {
            Some(value) => (value, "the environment"),
            None => (dotenv.get(name).context("with_keys made it")?, ".env"),
        };
        value.parse::<Keyring>().map_err(|error| anyhow!("{} in {place} cannot be used: {error}", key(name)))?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the machine's randomness, for this checkout's keys")]
fn random_key() -> String {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).expect("the system has randomness");
    STANDARD.encode(*key)
}

fn path() -> PathBuf {
    checkout().join(".env")
}

fn key(name: &str) -> String {
    format!("SPIN_VARIABLE_{}", name.to_uppercase())
}

fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+/=._:-".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$"))
}
