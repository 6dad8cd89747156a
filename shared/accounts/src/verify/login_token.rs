//! Challenges and renewal tokens: signed, short-lived, and valid only while the account is as it was when they were issued.

use crate::limits::clock_skew::CLOCK_SKEW;
use crate::limits::rate_limit::RateLimitCounts;
use crate::types::account::{Access, Account, AccountId, Counters};
use crate::types::settings::Limits;
use crate::types::time::UnixTime;
use cofrap_crypto::{LoginTokenClaims, TokenKeys, TokenPurpose};

/// Lifetime of a challenge, in seconds.
pub(crate) const CHALLENGE_SECONDS: i64 = 300;

/// Lifetime of a renewal token, in seconds.
pub(crate) const RENEWAL_SECONDS: i64 = 900;

impl Counters {
    /// The claims of a token for an account with these counters.
    #[must_use]
    pub fn login_token(&self, account: AccountId, purpose: TokenPurpose, expires_at: UnixTime) -> LoginTokenClaims {
        let credential_versions = match purpose {
            TokenPurpose::Challenge => [self.password_version, self.mfa_version],
            // A renewal replaces one credential after the other with the same token.
            TokenPurpose::Renewal => [0, 0],
        };
        LoginTokenClaims {
            user_id: account.0,
            expires_at: expires_at.seconds(),
            login_counter: self.login,
            security_counter: self.security,
            credential_versions,
            identity: self.identity.unwrap_or_default(),
        }
    }
}

/// Whether a renewal token is valid for the account.
pub(crate) fn is_valid_renewal(tokens: &TokenKeys, token: &str, account: &Account, now: UnixTime) -> bool {
    valid_claims(tokens, TokenPurpose::Renewal, token, account, now).is_some()
}

/// Whether a challenge is valid for the account. Its time, any complete login, any new credential, an operator's action and a lock of the
/// name end it.
pub(crate) fn is_valid_challenge(
    tokens: &TokenKeys,
    token: &str,
    account: &Account,
    counts: &RateLimitCounts,
    limits: &Limits,
    now: UnixTime,
) -> bool {
    let issued_at = |claims: LoginTokenClaims| UnixTime::from_seconds(claims.expires_at).plus(-CHALLENGE_SECONDS);
    valid_claims(tokens, TokenPurpose::Challenge, token, account, now)
        .is_some_and(|claims| !counts.locked_since(limits, issued_at(claims)))
}

const fn lifetime(purpose: TokenPurpose) -> i64 {
    match purpose {
        TokenPurpose::Challenge => CHALLENGE_SECONDS,
        TokenPurpose::Renewal => RENEWAL_SECONDS,
    }
}

fn valid_claims(
    tokens: &TokenKeys,
    purpose: TokenPurpose,
    token: &str,
    account: &Account,
    now: UnixTime,
) -> Option<LoginTokenClaims> {
    let claims = tokens.verify_login_token(purpose, token).ok()?;
    let expected = account.counters.login_token(account.id, purpose, UnixTime::from_seconds(claims.expires_at));
    let is_valid = account.counters.identity.is_some()
        && account.status.access == Access::Enabled
        && claims == expected
        && now.seconds() < claims.expires_at
        && claims.expires_at <= now.plus(lifetime(purpose) + CLOCK_SKEW).seconds();
    is_valid.then_some(claims)
}
