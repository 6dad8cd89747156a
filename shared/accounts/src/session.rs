//! Sessions: who bears one, making it last, ending all of an account, and what happened on the account.

use crate::plausible::CLOCK_SKEW;
use crate::{
    AccountId, Action, Age, Attempt, AuditEntry, AuditFilter, Bearer, Clock, Env, Saved, SessionAccount, Sessions,
    Settings, Store, StoreError, Subjects, UnixTime,
};
use cofrap_crypto::{Identity, SessionClaims, TokenKeys};
use rand_core::CryptoRng;

/// How long a session token lasts, in seconds.
pub const SESSION_SECONDS: i64 = 30 * 60;

/// How long after its login a session may be made to last, in seconds.
pub const LONGEST_SESSION_SECONDS: i64 = 12 * 3600;

/// Rows of the audit that the bearer of a session sees.
const ACTIVITY_ROWS: i64 = 20;

/// What is asked of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRequest {
    /// Who bears it.
    Read,
    /// To last longer.
    Renew,
    /// To end it, and all others of the account.
    End,
}

/// A session that holds.
#[derive(Debug)]
pub struct Session {
    /// The account's number.
    pub account: AccountId,
    /// The account's name.
    pub username: String,
    /// When its token was issued.
    pub issued_at: UnixTime,
    /// When its token ends.
    pub expires_at: UnixTime,
    /// Until when the account's password and second factor hold.
    pub renewal_due: UnixTime,
}

/// A session's token.
#[derive(Debug)]
pub struct IssuedSession {
    /// The token.
    pub token: String,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What was done with a session.
#[derive(Debug)]
pub enum SessionAnswer {
    /// Who bears it, and how long it lasts from now.
    Read(Session, Age),
    /// It lasts longer, with another token.
    Renewed(Session, IssuedSession),
    /// All sessions of the account are over.
    Ended(Session),
}

/// Why a session was refused.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There is no token, it is none of ours, it is over, or the account's sessions were ended.
    #[error("the session does not hold")]
    InvalidToken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads, renews or ends a session.
///
/// # Errors
/// See [`SessionError`].
pub fn session(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
    request: SessionRequest,
) -> Result<SessionAnswer, SessionError> {
    let now = env.clock.now();
    let (claims, account) = verify(env, bearer, now)?;
    let (subjects, limits) = (Subjects::of(&env.caller, &account.username), env.settings.limits);
    let attempt = |action| Attempt::new(action, Some(&account.username), &env.caller, &subjects, &limits, now);
    let session = Session {
        account: account.id,
        username: account.username.clone(),
        issued_at: UnixTime::from_seconds(claims.issued_at),
        expires_at: UnixTime::from_seconds(claims.expires_at),
        renewal_due: account.older_factor_born.after(env.settings.password_max_age),
    };
    match request {
        SessionRequest::Read => {
            let left = session.expires_at.since(now);
            Ok(SessionAnswer::Read(session, left))
        }
        SessionRequest::Renew => {
            held(env.store.renew_session(&attempt(Action::SessionRenewed), &account)?)?;
            let login = UnixTime::from_seconds(claims.authenticated_at);
            let bound = (account.id, &claims.identity, account.epoch);
            let issued = new_session(&env.keys, &mut env.rng, bound, login, now);
            Ok(SessionAnswer::Renewed(session, issued))
        }
        SessionRequest::End => {
            held(env.store.end_sessions(&attempt(Action::SessionsEnded), &account)?)?;
            Ok(SessionAnswer::Ended(session))
        }
    }
}

/// The last attempts on the bearer's account, the newest first.
///
/// # Errors
/// See [`SessionError`].
pub fn read_activity(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
) -> Result<Vec<AuditEntry>, SessionError> {
    let now = env.clock.now();
    let (_, account) = verify(env, bearer, now)?;
    let filter = AuditFilter { username: None, account: Some(account.id), before: None, limit: ACTIVITY_ROWS };
    Ok(env.store.read_audit(&filter)?)
}

/// Whose session it is, if it holds. A token that no key of ours signed never reaches the database.
fn verify(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
    now: UnixTime,
) -> Result<(SessionClaims, SessionAccount), SessionError> {
    let token = bearer.token().ok_or(SessionError::InvalidToken)?;
    let claims = read_claims(&env.keys, &env.settings, token, now).ok_or(SessionError::InvalidToken)?;
    let account = env.store.find_session(AccountId(claims.user_id), &claims.identity)?;
    let account = account.filter(|account| account.epoch == claims.epoch);
    account.map(|account| (claims, account)).ok_or(SessionError::InvalidToken)
}

/// What a session says that is ours and whose time it is, where there are sessions. Whether the account is still what it was is for the
/// caller to see.
pub(crate) fn read_claims(
    tokens: &TokenKeys,
    settings: &Settings,
    token: &str,
    now: UnixTime,
) -> Option<SessionClaims> {
    let claims = tokens.verify_session(token).ok()?;
    let latest = now.seconds().saturating_add(CLOCK_SKEW);
    let is_timely = claims.issued_at <= latest
        && claims.authenticated_at <= latest
        && now.seconds() < claims.expires_at
        && now.seconds() < claims.authenticated_at.saturating_add(LONGEST_SESSION_SECONDS);
    (is_timely && settings.policy.rules().sessions == Sessions::Issued).then_some(claims)
}

fn held(saved: Saved<()>) -> Result<(), SessionError> {
    match saved {
        Saved::Yes(()) => Ok(()),
        Saved::Overtaken | Saved::Locked => Err(SessionError::InvalidToken),
    }
}

/// A token for a session whose login was at `login`.
pub(crate) fn new_session(
    keys: &TokenKeys,
    rng: &mut impl CryptoRng,
    (account, identity, epoch): (AccountId, &Identity, i64),
    login: UnixTime,
    now: UnixTime,
) -> IssuedSession {
    let mut token_id = [0; 16];
    rng.fill_bytes(&mut token_id);
    let expires_at = now.plus(SESSION_SECONDS).min(login.plus(LONGEST_SESSION_SECONDS));
    let token = keys.sign_session(&SessionClaims {
        user_id: account.0,
        issued_at: now.seconds(),
        expires_at: expires_at.seconds(),
        authenticated_at: login.seconds(),
        epoch,
        identity: *identity,
        token_id,
    });
    IssuedSession { token, issued_at: now, expires_at }
}
