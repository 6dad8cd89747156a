//! `GET /function/activity`: the last attempts on the bearer's own account.

use crate::audit_log::Entry;
use crate::{Call, Endpoint, Problem};
use cofrap_accounts::{AuditEntry, Bearer};
use serde::Serialize;

/// A session.
#[derive(Debug)]
pub struct Request;

impl Endpoint for Request {
    type Command = Bearer;
    type Response = Response;

    fn read(call: Call<'_>) -> Result<Bearer, Problem> {
        Ok(call.bearer)
    }
}

/// The last 20 attempts, the newest first.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Activity", deny_unknown_fields))]
pub struct Response {
    /// At most 20, each as in the audit's answer.
    entries: Vec<Entry>,
}

impl From<Vec<AuditEntry>> for Response {
    fn from(entries: Vec<AuditEntry>) -> Self {
        Self { entries: entries.into_iter().map(Entry::from).collect() }
    }
}
