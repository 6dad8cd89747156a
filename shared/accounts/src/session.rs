//! Sessions: who bears one, making it last, ending all of an account, and what happened on the account.

use crate::plausible::CLOCK_SKEW;
use crate::{
    AccountId, Action, Age, Attempt, AuditEntry, Bearer, Clock, Env, OpenSession, PendingSecondFactor, Saved,
    SessionAccount, Sessions, Settings, Store, StoreError, Subjects, UnixTime,
};
use cofrap_crypto::{Identity, SessionClaims, SessionId, TokenKeys};
use rand_core::CryptoRng;

/// How long a session token lasts, in seconds.
pub const SESSION_SECONDS: i64 = 30 * 60;

/// How long after its login a session may be made to last, in seconds.
pub const LONGEST_SESSION_SECONDS: i64 = 12 * 3600;

/// Rows of the audit that the bearer of a session sees.
const ACTIVITY_ROWS: i64 = 20;

/// Sessions that the bearer of one sees.
const SESSION_ROWS: i64 = 100;

/// How long after its login a session replaces credentials, in seconds.
const RECENT_SECONDS: i64 = 300;

/// What is asked of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionRequest {
    /// Who bears it.
    Read,
    /// To last longer.
    Renew,
    /// To end it alone.
    End,
    /// To end it, and all others of the account.
    EndAll,
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
    /// It is over.
    Ended(Session),
    /// All sessions of the account are over.
    AllEnded(Session),
}

/// Why a session was refused.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There is no token, it is none of ours, it is over, or the account's sessions were ended.
    #[error("the session does not hold")]
    InvalidToken,
    /// Its login was too long ago for what was asked.
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
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
    request: SessionRequest,
) -> Result<SessionAnswer, SessionError> {
    let now = env.clock.now();
    let (claims, account) = verify(env, bearer, now)?;
    let (subjects, limits) =
        (Subjects::of(&env.caller, &account.username, &env.keys.subject_key()), env.settings.limits);
    let attempt = |action| Attempt::new(action, Some(&account.username), &env.caller, &subjects, &limits, now);
    let session = Session {
        account: account.id,
        username: account.username.clone(),
        issued_at: UnixTime::from_seconds(claims.issued_at),
        expires_at: UnixTime::from_seconds(claims.expires_at),
        renewal_due: account.older_factor_born.after(env.settings.password_max_age),
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
            let issued = new_session(&env.keys, &mut env.rng, &whose, now);
            Ok(SessionAnswer::Renewed(session, issued))
        }
        SessionRequest::End => {
            // Its login was before now, by whatever clock.
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

/// Until when a new second factor waits, if one does.
fn pending_until(account: &SessionAccount, now: UnixTime) -> Option<UnixTime> {
    let born = account.pending_born.filter(|born| *born <= now.plus(CLOCK_SKEW))?;
    let ends = born.after(Age::from_seconds(PendingSecondFactor::PATIENCE));
    (now <= ends).then_some(ends)
}

/// Drops the second factor that waits: the one in force stays alone. Its owner's name, and whether one waited.
///
/// # Errors
/// See [`SessionError`]; the session's login must be recent.
pub fn cancel_second_factor(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
) -> Result<(String, bool), SessionError> {
    let now = env.clock.now();
    let (claims, account) = verify(env, bearer, now)?;
    if !is_recent(&claims, now) {
        return Err(SessionError::TooOld);
    }
    let subjects = Subjects::of(&env.caller, &account.username, &env.keys.subject_key());
    let (action, limits) = (Action::SecondFactorCancelled, env.settings.limits);
    let attempt = Attempt::new(action, Some(&account.username), &env.caller, &subjects, &limits, now);
    let has_waited = held(env.store.cancel_second_factor(&attempt, &account)?)?;
    let is_alive = pending_until(&account, now).is_some();
    Ok((account.username, has_waited && is_alive))
}

/// The account's sessions that may still hold, the newest first, and which of them is the bearer's.
///
/// # Errors
/// See [`SessionError`].
pub fn read_sessions(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
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
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
) -> Result<Vec<AuditEntry>, SessionError> {
    let now = env.clock.now();
    let (claims, _) = verify(env, bearer, now)?;
    Ok(env.store.read_activity(&claims, ACTIVITY_ROWS)?)
}

/// Whose session it is, if it holds. A token that no key of ours signed never reaches the database.
fn verify(
    env: &mut Env<impl Store, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
    now: UnixTime,
) -> Result<(SessionClaims, SessionAccount), SessionError> {
    let token = bearer.token().ok_or(SessionError::InvalidToken)?;
    let claims = read_claims(&env.keys, &env.settings, token, now).ok_or(SessionError::InvalidToken)?;
    let account = env.store.find_session(&claims)?;
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

/// Whether the session's login was so recently that it replaces credentials.
pub(crate) fn is_recent(claims: &SessionClaims, now: UnixTime) -> bool {
    now.seconds() <= claims.authenticated_at.saturating_add(RECENT_SECONDS)
}

fn held<T>(saved: Saved<T>) -> Result<T, SessionError> {
    match saved {
        Saved::Yes(done) => Ok(done),
        Saved::Overtaken | Saved::Locked | Saved::SessionEnded | Saved::Resealed => Err(SessionError::InvalidToken),
    }
}

/// What all tokens of a session say.
pub(crate) struct SessionOf {
    pub(crate) account: AccountId,
    pub(crate) identity: Identity,
    pub(crate) epoch: i64,
    pub(crate) id: SessionId,
    /// When its login was.
    pub(crate) login: UnixTime,
}

/// What a new session is called.
pub(crate) fn new_session_id(rng: &mut impl CryptoRng) -> SessionId {
    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    id
}

/// A token for a session.
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
