//! `GET /function/health`: whether the functions can work.

use crate::Problem;
use cofrap_accounts::{Health, Part};
use serde::Serialize;

/// The methods that it has.
pub const METHODS: &[&str] = &["GET"];

/// Every part is there.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Healthy", deny_unknown_fields))]
pub struct Response {
    /// `ok`
    status: &'static str,
    #[serde(flatten)]
    parts: Parts,
}

/// What the functions need: `ok`, `unavailable`, or `unknown` where another part must be there first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "HealthParts"))]
pub struct Parts {
    /// The database answers.
    database: &'static str,
    /// Its schema is the one that these functions know.
    schema: &'static str,
    /// The keys can be used, and fit what is stored.
    keys: &'static str,
    /// `strict` or `legacy`; `unavailable` if the configuration cannot be used.
    policy: &'static str,
}

/// The answer: a success if every part is there. The cause of what is not is for the log.
///
/// # Errors
/// [`crate::Code::Unavailable`] with the parts.
pub fn answer(health: &Health, cause: Option<String>) -> Result<Response, Problem> {
    let word = |part| match part {
        Part::Ok => "ok",
        Part::Unavailable => "unavailable",
        Part::Unknown => "unknown",
    };
    let parts = Parts {
        database: word(health.database),
        schema: word(health.schema),
        keys: word(health.keys),
        policy: health.policy.map_or("unavailable", cofrap_accounts::Policy::as_str),
    };
    if health.is_well() { Ok(Response { status: "ok", parts }) } else { Err(Problem::unwell(parts, cause)) }
}
