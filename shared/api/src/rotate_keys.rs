//! `POST /function/rotate-keys`: seals a batch of stored secrets again, under the first key of the list.

use crate::{Field, JsonBody, Problem};
use cofrap_accounts::{Bearer, RotateKeys, Rotated, RotationCursor};
use serde::{Deserialize, Serialize};

/// Where to begin: `{}` at first, then `next` of the answer before, until there is none.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "RotateKeysRequest"))]
pub struct Request {
    /// The last row of `users_v2` that was looked at.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "Option<i64>"))]
    account: Field,
    /// The last row of `password_history_v2` that was looked at.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "Option<i64>"))]
    history: Field,
}

impl JsonBody for Request {
    type Command = RotateKeys;
    type Response = Response;

    fn into_command(self, bearer: Bearer) -> Result<RotateKeys, Problem> {
        let account = self.account.optional_count("account")?.unwrap_or(0);
        let history = self.history.optional_count("history")?.unwrap_or(0);
        Ok(RotateKeys { after: RotationCursor { account, history }, bearer })
    }
}

/// How far the rotation has come.
#[derive(Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "RotatedKeys", deny_unknown_fields))]
pub struct Response {
    /// Rows whose secrets were sealed again.
    pub moved: i64,
    /// Rows that are left.
    pub rows_left: i64,
    /// Rows of this batch with a secret that no key opens, or that belongs elsewhere, as `table:id`.
    pub unreadable: Vec<String>,
    /// Where the next batch begins; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// Where a batch begins.
#[derive(Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "RotationCursor", deny_unknown_fields))]
pub struct Next {
    /// After this row of `users_v2`.
    pub account: i64,
    /// After this row of `password_history_v2`.
    pub history: i64,
}

impl From<Rotated> for Response {
    fn from(rotated: Rotated) -> Self {
        Self {
            moved: rotated.moved,
            rows_left: rotated.rows_left,
            unreadable: rotated.unreadable,
            next: rotated.next.map(|next| Next { account: next.account, history: next.history }),
        }
    }
}
