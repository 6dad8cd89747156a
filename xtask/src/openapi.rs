//! `openapi`: writes the contract down, for programs and for people.

use crate::checkout::checkout;
use anyhow::{Context, Result};
use cofrap_api::openapi::{document, page};
use cofrap_database::say;
use std::fs;

pub(crate) fn write() -> Result<()> {
    let document = document();
    let json = serde_json::to_string_pretty(&document)? + "\n";
    for (path, text) in [("shared/api/openapi.json", json), ("docs/api.md", page(&document))] {
        fs::write(checkout().join(path), text).with_context(|| format!("cannot write {path}"))?;
        say(&format!("wrote {path}"));
    }
    Ok(())
}
