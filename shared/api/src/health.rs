//! `GET /function/health`: whether the functions can work.

use crate::Problem;
use cofrap_accounts::{Health, Part};
use serde::Serialize;
use std::fmt::Display;

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
    /// `strict` or `legacy`; `unavailable` if the settings cannot be used.
    policy: &'static str,
    /// Every setting that is in force, as `settings` takes them; if they cannot be used, which one and why.
    settings: String,
}

/// The answer: a success if every part is there. The cause of what is not is for the log; what is wrong with the settings is said
/// here too, by name.
///
/// # Errors
/// [`crate::Code::Unavailable`] with the parts.
pub fn answer(
    health: &Health,
    settings: &Result<impl Display, impl Display>,
    cause: Option<String>,
) -> Result<Response, Problem> {
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
        settings: match settings {
            Ok(settings) => settings.to_string(),
            Err(problem) => problem.to_string(),
        },
    };
    if health.is_well() { Ok(Response { status: "ok", parts }) } else { Err(Problem::unwell(parts, cause)) }
}
