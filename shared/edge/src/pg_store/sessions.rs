//! Sessions, and what their bearer sees.

use super::calls::{
    CancelSecondFactor, EndSession, EndSessions, FindSession, ReadActivity, ReadSessions, RenewSession,
};
use super::client::{Link, PgStore};
use super::parameters::Noted;
use super::rows::{EntryRow, OpenSessionRow, SessionRow, write_identity, write_session};
use cofrap_accounts::{Attempt, AuditEntry, OpenSession, Saved, SessionAccount, SessionStore, StoreError, UnixTime};
use cofrap_crypto::SessionClaims;

impl<L: Link> SessionStore for PgStore<L> {
    fn find_session(&mut self, claims: &SessionClaims) -> Result<Option<SessionAccount>, StoreError> {
        let identity = write_identity(&claims.identity);
        let session = write_session(&claims.session_id);
        let call = FindSession { account: claims.user_id, identity: &identity, session: &session };
        let row: Option<SessionRow> = self.call(call)?;
        Ok(row.map(|row| row.read(claims.session_id)))
    }

    fn read_activity(&mut self, claims: &SessionClaims, limit: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let identity = write_identity(&claims.identity);
        let rows: Vec<EntryRow> =
            self.call(ReadActivity { account: claims.user_id, identity: &identity, max_rows: limit })?;
        Ok(rows.into_iter().map(EntryRow::read).collect())
    }

    fn read_sessions(
        &mut self,
        claims: &SessionClaims,
        since: UnixTime,
        limit: i64,
    ) -> Result<Vec<OpenSession>, StoreError> {
        let identity = write_identity(&claims.identity);
        let (account, since) = (claims.user_id, since.seconds());
        let rows: Vec<OpenSessionRow> =
            self.call(ReadSessions { account, identity: &identity, since, max_rows: limit })?;
        Ok(rows.into_iter().filter_map(OpenSessionRow::read).collect())
    }

    fn renew_session(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = write_session(&session.session);
        let call =
            RenewSession { attempt: noted.attempt(), seen_session_epoch: session.epoch, seen_session: &seen_session };
        self.note(&noted, call)
    }

    fn end_session(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
        ends: UnixTime,
    ) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = write_session(&session.session);
        let call = EndSession {
            attempt: noted.attempt(),
            seen_session_epoch: session.epoch,
            seen_session: &seen_session,
            ends_at: ends.seconds(),
        };
        self.note(&noted, call)
    }

    fn cancel_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        session: &SessionAccount,
    ) -> Result<Saved<bool>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = write_session(&session.session);
        let call = CancelSecondFactor {
            attempt: noted.attempt(),
            seen_session_epoch: session.epoch,
            seen_session: &seen_session,
        };
        self.attempt(&noted, call, |has_waited: bool| has_waited)
    }

    fn end_sessions(&mut self, attempt: &Attempt<'_>, session: &SessionAccount) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, Some(session.id));
        let seen_session = write_session(&session.session);
        let call =
            EndSessions { attempt: noted.attempt(), seen_session_epoch: session.epoch, seen_session: &seen_session };
        self.note(&noted, call)
    }
}
