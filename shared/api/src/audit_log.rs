//! `GET /function/audit-log`: what was attempted, for the operator.

use crate::field::parse_username;
use crate::{Call, Endpoint, Problem};
use cofrap_accounts::{AuditEntry, ReadAudit};
use serde::Serialize;

/// How many rows an answer has by default.
const DEFAULT_LIMIT: i64 = 100;

/// The most rows of one answer.
const MAX_LIMIT: i64 = 500;

/// `?username=&limit=&before=`
#[derive(Debug)]
pub struct Request;

impl Endpoint for Request {
    type Command = ReadAudit;
    type Response = Response;

    fn read(call: Call<'_>) -> Result<ReadAudit, Problem> {
        let mut command = ReadAudit { username: None, before: None, limit: DEFAULT_LIMIT, bearer: call.bearer };
        for (name, value) in form_urlencoded::parse(call.query.as_bytes()) {
            match &*name {
                "username" => command.username = Some(parse_username(&value)?),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    command.limit = limit.ok_or_else(|| Problem::invalid_field("limit", "un entier de 1 à 500"))?;
                }
                "before" => {
                    let before = value.parse().ok().filter(|before| *before > 0);
                    let invalid = || Problem::invalid_field("before", "le numéro d'une ligne est attendu");
                    command.before = Some(before.ok_or_else(invalid)?);
                }
                _ => {}
            }
        }
        Ok(command)
    }
}

/// Attempts, the newest first.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "AuditLog", deny_unknown_fields))]
pub struct Response {
    /// Each with `id`, `at` (seconds since the Unix epoch), `action`, `username`, `user_id`, `ip_address`, `user_agent`,
    /// `success`, `reason`, `proof` and `route`; give the last `id` as `before` to read older entries.
    entries: Vec<Entry>,
}

/// One attempt.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "AuditEntry", deny_unknown_fields))]
pub(crate) struct Entry {
    /// Its number; give the last one as `before` to read older entries.
    id: i64,
    /// When, in seconds since the Unix epoch.
    at: i64,
    /// What was asked: `login`, `password_generated`, ...
    action: String,
    /// The given name, whether an account has it or not; a digest if no account has it and it has the shape of a password.
    username: Option<String>,
    /// The account, if there is one.
    user_id: Option<i64>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    /// Whether it succeeded.
    success: bool,
    /// The reason of a refusal.
    reason: Option<String>,
    /// The accepted proof, if one was shown.
    proof: Option<String>,
    /// Which function was asked.
    route: Option<String>,
    /// How many attempts the row stands for, if it is the row of one locked minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<i64>,
    /// Up to 20 of their names, if there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    /// How many of them had other names.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_names: Option<i64>,
}

impl From<Vec<AuditEntry>> for Response {
    fn from(entries: Vec<AuditEntry>) -> Self {
        Self { entries: entries.into_iter().map(Entry::from).collect() }
    }
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at.seconds(),
            action: entry.action,
            username: entry.username,
            user_id: entry.user_id,
            ip_address: entry.address,
            user_agent: entry.user_agent,
            success: entry.success,
            reason: entry.reason,
            proof: entry.proof,
            route: entry.route,
            attempts: entry.attempts,
            names: entry.names,
            more_names: entry.more_names,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use cofrap_accounts::Bearer;

    fn read(query: &str) -> Result<ReadAudit, Code> {
        let call = Call { method: "GET", query, bearer: Bearer::default(), body: b"" };
        Request::read(call).map_err(|problem| problem.code())
    }

    #[test]
    fn a_query_names_whom_how_many_and_before_what() {
        let command = read("limit=500&username=%C3%88ve+Dupont&before=7&more=1").unwrap();
        assert_eq!((command.limit, command.before), (500, Some(7)));
        assert_eq!(command.username.unwrap().as_str(), "Ève Dupont");
        assert_eq!(read("").unwrap().limit, DEFAULT_LIMIT);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for query in ["limit=0", "limit=501", "limit=x", "limit=", "before=0", "before=-1", "before=x", "username=%00"]
        {
            assert_eq!(read(query).err(), Some(Code::InvalidField), "{query}");
        }
    }
}
