//! The version of the schema.

/// The schema that this build makes, and that components of this build call: the number of the latest file.
pub const SCHEMA_VERSION: i64 = 10;

/// The schema of a version's functions.
#[must_use]
pub fn schema_of(version: i64) -> String {
    format!("cofrap_{version}")
}
