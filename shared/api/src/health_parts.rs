//! What the functions need, part by part: the answer of health, and the body of its error.

use serde::Serialize;

/// What the functions need: `ok`, `unavailable`, or `unknown` if it depends on a part that fails.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "HealthParts"))]
pub(crate) struct Parts {
    /// The database answers.
    pub(crate) database: &'static str,
    /// The database has the functions of the version that these components call.
    pub(crate) schema: &'static str,
    /// The schema of the functions that these components call.
    pub(crate) expected_schema: String,
    /// The schemas of functions that the database has, one for each version.
    pub(crate) schemas: Vec<String>,
    /// `ok`, or the tables whose numbers lag behind their rows or are nearly used up. `migrate` mends a lag; nothing else is
    /// affected yet.
    pub(crate) sequences: String,
    /// The keys can be used, and fit what is stored.
    pub(crate) keys: &'static str,
    /// `strict` or `legacy`; `unavailable` if the settings cannot be used.
    pub(crate) policy: &'static str,
    /// Every setting that is in force, as `settings` takes them; if they cannot be used, which one and why.
    pub(crate) settings: String,
}
