//! `POST /function/maintain`: a batch of what the database needs from time to time.

use crate::{JsonBody, Problem};
use cofrap_accounts::{Bearer, Maintain, Maintained};
use serde::{Deserialize, Serialize};

/// `{}`: what there is to do, the database knows.
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

/// What was done.
#[derive(Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Maintained", deny_unknown_fields))]
pub struct Response {
    /// Whether another batch finds more to do.
    pub more: bool,
    /// Whether the clocks of the functions and of the database are more than five minutes apart: then nothing is removed.
    pub clocks_differ: bool,
    /// Partitions of the audit that were made, for the months to come.
    pub partitions_made: Vec<String>,
    /// Partitions of the audit that were dropped, every row being older than it is kept.
    pub partitions_dropped: Vec<String>,
    /// Partitions that others were using: the next time.
    pub partitions_busy: Vec<String>,
    /// Rows of the audit that were written for what was locked, each for a minute.
    pub locked_minutes: i64,
    /// Rows of the audit that were added to the totals of the metrics.
    pub rows_counted: i64,
    /// Rows of the audit that were removed: refused attempts.
    pub refusals_removed: i64,
    /// Rows of the audit that were removed: what was done.
    pub actions_removed: i64,
    /// Rows of the audit in which names that no account had became digests.
    pub names_masked: i64,
    /// Counters of failures that were removed.
    pub counters_removed: i64,
    /// Marks of ended sessions that were removed.
    pub sessions_removed: i64,
    /// Accounts that were removed: nobody had completed them within 30 days of their last generation.
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
