//! `POST /function/maintain`: a batch of maintenance.

use crate::{JsonBody, Problem};
use cofrap_accounts::{Bearer, Maintain, Maintained};
use serde::{Deserialize, Serialize};

/// `{}`: the database knows what is due.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "MaintainRequest"))]
pub struct Request {}

impl JsonBody for Request {
    type Command = Maintain;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<Maintain, Problem> {
        Ok(Maintain { bearer })
    }
}

/// The result.
#[derive(Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Maintained", deny_unknown_fields))]
pub struct Response {
    /// Whether another batch is due.
    pub more: bool,
    /// Whether the clocks of the functions and of the database are more than five minutes apart: then nothing is removed.
    pub clocks_differ: bool,
    /// Partitions of the audit that were made for coming months.
    pub partitions_made: Vec<String>,
    /// Partitions of the audit that were dropped, because every row was older than its retention.
    pub partitions_dropped: Vec<String>,
    /// Partitions that others were using, and that are left for the next run.
    pub partitions_busy: Vec<String>,
    /// Audit rows that were written for locked names and addresses, one for each minute.
    pub locked_minutes: i64,
    /// Audit rows that were added to the totals of the metrics.
    pub rows_counted: i64,
    /// Audit rows of refused attempts that were removed.
    pub refusals_removed: i64,
    /// Audit rows of successful actions that were removed.
    pub actions_removed: i64,
    /// Audit rows in which names that no account had were replaced by digests.
    pub names_masked: i64,
    /// Rate-limit counts that were removed.
    pub counters_removed: i64,
    /// Marks of ended sessions that were removed.
    pub sessions_removed: i64,
    /// Accounts that were removed: nobody had completed them within 30 days after their last credential was issued.
    pub accounts_removed: Vec<String>,
}

impl From<Maintained> for Response {
    fn from(maintained: Maintained) -> Self {
        let more = maintained.has_more();
        let Maintained { partitions, batch, masked, accounts } = maintained;
        Self {
            more,
            clocks_differ: batch.clocks_differ,
            partitions_made: partitions.made,
            partitions_dropped: partitions.dropped,
            partitions_busy: partitions.busy,
            locked_minutes: batch.locked_minutes,
            rows_counted: batch.counted,
            refusals_removed: batch.refusals,
            actions_removed: batch.actions,
            names_masked: masked,
            counters_removed: batch.counters,
            sessions_removed: batch.sessions,
            accounts_removed: accounts,
        }
    }
}
