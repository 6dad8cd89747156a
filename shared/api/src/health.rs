//! `GET /function/health`: whether the functions can work.

use crate::Problem;
use crate::health_parts::Parts;
use cofrap_accounts::{Health, Part};
use serde::Serialize;
use std::fmt::Display;

/// Every part works.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Healthy", deny_unknown_fields))]
pub struct Response {
    /// `ok`
    status: &'static str,
    #[serde(flatten)]
    parts: Parts,
}

/// The answer: a success if every part works. The cause of a failure is for the log; a mistake in the settings is said
/// here too, by name.
///
/// # Errors
/// [`crate::Code::Unavailable`] with the parts.
pub fn answer(
    health: &Health,
    schema_version: i64,
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
        expected_schema: format!("cofrap_{schema_version}"),
        schemas: health.schemas.clone(),
        sequences: match (health.weak_sequences.as_slice(), health.schema) {
            (_, Part::Unavailable | Part::Unknown) => word(Part::Unknown).to_owned(),
            ([], Part::Ok) => word(Part::Ok).to_owned(),
            (tables, Part::Ok) => format!("weak: {}", tables.join(", ")),
        },
        keys: word(health.keys),
        policy: health.policy.map_or("unavailable", cofrap_accounts::Policy::as_str),
        settings: match settings {
            Ok(settings) => settings.to_string(),
            Err(problem) => problem.to_string(),
        },
    };
    if health.is_well() { Ok(Response { status: "ok", parts }) } else { Err(Problem::unwell(parts, cause)) }
}
