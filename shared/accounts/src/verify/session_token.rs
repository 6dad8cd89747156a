//! Session tokens: whether one is valid, as far as its claims tell.

use crate::limits::clock_skew::CLOCK_SKEW;
use crate::types::settings::{Sessions, Settings};
use crate::types::time::UnixTime;
use cofrap_crypto::{SessionClaims, TokenKeys};

/// For how many seconds after its login a session can be renewed.
pub const LONGEST_SESSION_SECONDS: i64 = 12 * 3600;

/// For how many seconds after its login a session is accepted as proof for replacing credentials.
const RECENT_SECONDS: i64 = 300;

/// The claims of a session token that these keys signed and that has not ended, where the policy has sessions. The caller compares them with
/// the account.
pub(crate) fn valid_claims(
    tokens: &TokenKeys,
    settings: &Settings,
    token: &str,
    now: UnixTime,
) -> Option<SessionClaims> {
    let claims = tokens.verify_session(token).ok()?;
    let latest = now.seconds().saturating_add(CLOCK_SKEW);
    let is_valid = claims.issued_at <= latest
        && claims.authenticated_at <= latest
        && now.seconds() < claims.expires_at
        && now.seconds() < claims.authenticated_at.saturating_add(LONGEST_SESSION_SECONDS);
    (is_valid && settings.policy.rules().sessions == Sessions::Issued).then_some(claims)
}

/// Whether the session's login was recent enough to replace credentials.
pub(crate) fn is_recent(claims: &SessionClaims, now: UnixTime) -> bool {
    now.seconds() <= claims.authenticated_at.saturating_add(RECENT_SECONDS)
}
