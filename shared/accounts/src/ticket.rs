//! What stands for a step that was taken: a challenge for a right password, a renewal ticket for a login that came too late.

use crate::plausible::CLOCK_SKEW;
use crate::{Access, Account, AccountId, Counters, Limits, Throttles, UnixTime};
use cofrap_crypto::{Purpose, Ticket, TokenKeys};

/// How long a challenge lasts, in seconds.
pub(crate) const CHALLENGE_SECONDS: i64 = 300;

/// How long a renewal ticket lasts, in seconds.
pub(crate) const RENEWAL_SECONDS: i64 = 900;

impl Counters {
    /// What a ticket for an account with these counters is bound to.
    #[must_use]
    pub fn ticket(&self, account: AccountId, purpose: Purpose, expires_at: UnixTime) -> Ticket {
        let generations = match purpose {
            Purpose::Challenge => [self.password_generation, self.mfa_generation],
            Purpose::Renewal => [0, 0],
        };
        Ticket {
            user_id: account.0,
            expires_at: expires_at.seconds(),
            login_counter: self.login,
            security_counter: self.security,
            generations,
            identity: self.identity.unwrap_or_default(),
        }
    }
}

/// Whether a renewal ticket is the account's, as it is now.
pub(crate) fn renewal_holds(tokens: &TokenKeys, token: &str, account: &Account, now: UnixTime) -> bool {
    read(tokens, Purpose::Renewal, token, account, now).is_some()
}

/// Whether a challenge is the account's, as it is now: it ends with its time, any login, any new credential, what the operator
/// does, and a lock of the name.
pub(crate) fn challenge_holds(
    tokens: &TokenKeys,
    token: &str,
    account: &Account,
    throttles: &Throttles,
    limits: &Limits,
    now: UnixTime,
) -> bool {
    let given = |ticket: Ticket| UnixTime::from_seconds(ticket.expires_at).plus(-CHALLENGE_SECONDS);
    read(tokens, Purpose::Challenge, token, account, now)
        .is_some_and(|ticket| !throttles.locked_since(limits, given(ticket)))
}

const fn lifetime(purpose: Purpose) -> i64 {
    match purpose {
        Purpose::Challenge => CHALLENGE_SECONDS,
        Purpose::Renewal => RENEWAL_SECONDS,
    }
}

fn read(tokens: &TokenKeys, purpose: Purpose, token: &str, account: &Account, now: UnixTime) -> Option<Ticket> {
    let ticket = tokens.verify_ticket(purpose, token).ok()?;
    let expected = account.counters.ticket(account.id, purpose, UnixTime::from_seconds(ticket.expires_at));
    let holds = account.counters.identity.is_some()
        && account.standing.access == Access::Enabled
        && ticket == expected
        && now.seconds() < ticket.expires_at
        && ticket.expires_at <= now.plus(lifetime(purpose) + CLOCK_SKEW).seconds();
    holds.then_some(ticket)
}
