//! Sessions: reading, renewing and ending them, and what their bearer may see of the account.

use crate::limits::clock_skew::CLOCK_SKEW;
use crate::operations::case::Requester;
use crate::operations::env::{Clock, Env};
use crate::store::error::{Saved, StoreError};
use crate::store::interface::SessionStore;
use crate::store::snapshot::SessionAccount;
use crate::types::account::{AccountId, PendingSecondFactor};
use crate::types::audit::{Action, AuditEntry, OpenSession};
use crate::types::bearer::Bearer;
use crate::types::time::{Age, UnixTime};
use crate::verify::session_token::{LONGEST_SESSION_SECONDS, is_recent, valid_claims};
use cofrap_crypto::{Identity, SessionClaims, SessionId, TokenKeys};
use rand_core::CryptoRng;

/// Lifetime of a session token, in seconds.
pub const SESSION_SECONDS: i64 = 30 * 60;

/// How many audit rows the bearer of a session sees.
const ACTIVITY_ROWS: i64 = 20;

/// How many sessions the bearer of one sees.
const SESSION_ROWS: i64 = 100;

/// What the bearer of a session asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRequest {
    /// Whose session it is.
    Read,
    /// To renew it.
    Renew,
    /// To end this session.
    End,
    /// To end all sessions of the account.
    EndAll,
}

/// A valid session.
#[derive(Debug)]
pub struct Session {
    /// The account's number.
    pub account: AccountId,
    /// The account's name.
    pub username: String,
    /// When its token was issued.
    pub issued_at: UnixTime,
    /// When its token expires.
    pub expires_at: UnixTime,
    /// Until when the account's password and second factor are young enough.
    pub renewal_due: UnixTime,
    /// Until when a new second factor waits for its first code, if one does.
    pub pending_until: Option<UnixTime>,
}

/// A session's token.
#[derive(Debug)]
pub struct IssuedSession {
    /// The token.
    pub token: String,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it expires.
    pub expires_at: UnixTime,
}

/// What happened to a session.
#[derive(Debug)]
pub enum SessionAnswer {
    /// Whose it is, and for how long its token is still valid.
    Read(Session, Age),
    /// It was renewed, with another token.
    Renewed(Session, IssuedSession),
    /// It was ended.
    Ended(Session),
    /// All sessions of the account were ended.
    AllEnded(Session),
}

/// Why a session was refused.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The token is missing, invalid or expired, or the session was ended.
    #[error("the session does not hold")]
    InvalidToken,
    /// The login was too long ago for this request.
    #[error("the session's login was too long ago")]
    TooOld,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads, renews or ends a session.
///
/// # Errors
/// See [`SessionError`].
pub fn session(
    env: &mut Env<impl SessionStore, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
    request: SessionRequest,
) -> Result<SessionAnswer, SessionError> {
    let now = env.clock.now();
    let (claims, account) = verify(env, bearer, now)?;
    let keys = &env.context.keys;
    let requester = Requester::new(&env.context, &account.username, &keys.digest_key(), now);
    let attempt = |action| requester.attempt(action, Some(&account.username));
    let session = Session {
        account: account.id,
        username: account.username.clone(),
        issued_at: UnixTime::from_seconds(claims.issued_at),
        expires_at: UnixTime::from_seconds(claims.expires_at),
        renewal_due: account.older_factor_issued_at.after(env.context.settings.password_max_age),
        pending_until: pending_until(&account, now),
    };
    match request {
        SessionRequest::Read => {
            let left = session.expires_at.since(now);
            Ok(SessionAnswer::Read(session, left))
        }
        SessionRequest::Renew => {
            held(env.store.renew_session(&attempt(Action::SessionRenewed), &account)?)?;
            let whose = SessionOf {
                account: account.id,
                identity: claims.identity,
                epoch: account.epoch,
                id: claims.session_id,
                login: UnixTime::from_seconds(claims.authenticated_at),
            };
            let issued = new_session(keys, &mut env.rng, &whose, now);
            Ok(SessionAnswer::Renewed(session, issued))
        }
        SessionRequest::End => {
            // Its login was in the past, by any machine's clock.
            let ends = now.plus(LONGEST_SESSION_SECONDS + CLOCK_SKEW);
            held(env.store.end_session(&attempt(Action::SessionEnded), &account, ends)?)?;
            Ok(SessionAnswer::Ended(session))
        }
        SessionRequest::EndAll => {
            held(env.store.end_sessions(&attempt(Action::SessionsEnded), &account)?)?;
            Ok(SessionAnswer::AllEnded(session))
        }
    }
}

/// Until when a new second factor waits for its first code, if one does.
fn pending_until(account: &SessionAccount, now: UnixTime) -> Option<UnixTime> {
    let issued_at = account.pending_issued_at.filter(|issued_at| *issued_at <= now.plus(CLOCK_SKEW))?;
    let ends = issued_at.after(Age::from_seconds(PendingSecondFactor::PATIENCE));
    (now <= ends).then_some(ends)
}

/// Drops the second factor that waits for its first code. The account's name, and whether one waited.
///
/// # Errors
/// See [`SessionError`]; the session's login must be recent.
pub fn cancel_second_factor(
    env: &mut Env<impl SessionStore, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
) -> Result<(String, bool), SessionError> {
    let now = env.clock.now();
    let (claims, account) = verify(env, bearer, now)?;
    if !is_recent(&claims, now) {
        return Err(SessionError::TooOld);
    }
    let requester = Requester::new(&env.context, &account.username, &env.context.keys.digest_key(), now);
    let attempt = requester.attempt(Action::SecondFactorCancelled, Some(&account.username));
    let has_waited = held(env.store.cancel_second_factor(&attempt, &account)?)?;
    let is_alive = pending_until(&account, now).is_some();
    Ok((account.username, has_waited && is_alive))
}

/// The bearer's session, and the account's sessions that may still be valid, the newest first.
///
/// # Errors
/// See [`SessionError`].
pub fn read_sessions(
    env: &mut Env<impl SessionStore, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
) -> Result<(SessionId, Vec<OpenSession>), SessionError> {
    let now = env.clock.now();
    let (claims, _) = verify(env, bearer, now)?;
    let sessions = env.store.read_sessions(&claims, now.plus(-LONGEST_SESSION_SECONDS), SESSION_ROWS)?;
    Ok((claims.session_id, sessions))
}

/// The last attempts on the bearer's account, the newest first.
///
/// # Errors
/// See [`SessionError`].
pub fn read_activity(
    env: &mut Env<impl SessionStore, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
) -> Result<Vec<AuditEntry>, SessionError> {
    let now = env.clock.now();
    let (claims, _) = verify(env, bearer, now)?;
    Ok(env.store.read_activity(&claims, ACTIVITY_ROWS)?)
}

/// Checks a session. A token that these keys did not sign never reaches the database.
pub(crate) fn verify(
    env: &mut Env<impl SessionStore, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
    now: UnixTime,
) -> Result<(SessionClaims, SessionAccount), SessionError> {
    let token = bearer.token().ok_or(SessionError::InvalidToken)?;
    let claims =
        valid_claims(&env.context.keys, &env.context.settings, token, now).ok_or(SessionError::InvalidToken)?;
    let account = env.store.find_session(&claims)?;
    let account = account.filter(|account| account.epoch == claims.epoch);
    account.map(|account| (claims, account)).ok_or(SessionError::InvalidToken)
}

fn held<T>(saved: Saved<T>) -> Result<T, SessionError> {
    match saved {
        Saved::Yes(done) => Ok(done),
        Saved::Overtaken | Saved::Locked | Saved::SessionEnded | Saved::Resealed => Err(SessionError::InvalidToken),
    }
}

/// What all tokens of one session have in common.
pub(crate) struct SessionOf {
    pub(crate) account: AccountId,
    pub(crate) identity: Identity,
    pub(crate) epoch: i64,
    pub(crate) id: SessionId,
    /// The time of its login.
    pub(crate) login: UnixTime,
}

/// A new session's identifier.
pub(crate) fn new_session_id(rng: &mut impl CryptoRng) -> SessionId {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    id
}

/// Signs a token for a session.
pub(crate) fn new_session(
    keys: &TokenKeys,
    rng: &mut impl CryptoRng,
    whose: &SessionOf,
    now: UnixTime,
) -> IssuedSession {
    let expires_at = now.plus(SESSION_SECONDS).min(whose.login.plus(LONGEST_SESSION_SECONDS));
    let token = keys.sign_session(&SessionClaims {
        user_id: whose.account.0,
        issued_at: now.seconds(),
        expires_at: expires_at.seconds(),
        authenticated_at: whose.login.seconds(),
        epoch: whose.epoch,
        identity: whose.identity,
        session_id: whose.id,
        token_id: new_session_id(rng),
    });
    IssuedSession { token, issued_at: now, expires_at }
}
