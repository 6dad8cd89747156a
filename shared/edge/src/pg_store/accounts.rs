//! Accounts: logins, credentials, refusals.

use super::calls::{
    CompleteLogin, CompleteUsualLogin, CreateAccount, Find, MarkExpired, NoteFactor, Refuse, RefuseLocked,
    ReplacePassword, ReplaceSecondFactor, Seen,
};
use super::client::{Link, PgStore};
use super::parameters::{Noted, change, details, login, seen_by_factor, seen_by_grant, seen_by_login};
use super::rows::{SnapshotRow, write_session};
use cofrap_accounts::{
    Account, AccountId, AccountSnapshot, Attempt, Counters, Grant, NameMatch, NewAccount, NewPassword, NewSecondFactor,
    ProvenFactor, ProvenLogin, RateLimitKeys, Reason, Refusal, Saved, Store, StoreError, TakesEffect, TooManyAttempts,
    UnixTime, Username,
};
use cofrap_crypto::{KeyId, RowMac, SessionId, TotpStep};

impl<L: Link> PgStore<L> {
    /// Completes a login that changes counters alone, if nobody wrote the account since it was read and no failure is counted. The
    /// counters after it; none if nothing was done.
    fn complete_usual_login(
        &self,
        noted: &Noted<'_>,
        attempt: &Attempt<'_>,
        proven: &ProvenLogin<'_>,
        session: Option<&str>,
    ) -> Result<Option<Counters>, StoreError> {
        let Account { counters, row_version: Some(row_version), .. } = proven.account() else { return Ok(None) };
        let (who, limits) = (noted.attempt(), noted.limits());
        let ends_failures = limits.name_subject.is_some() && attempt.name_has_failures;
        if !proven.is_usual() || ends_failures || !attempt.needed_keys.is_empty() {
            return Ok(None);
        }
        let is_done: bool = self.call(CompleteUsualLogin {
            action: who.action,
            caller_address: who.caller_address,
            agent: who.agent,
            moment: who.moment,
            account: proven.account().id.0,
            row_version,
            step: proven.step().map(TotpStep::number),
            address_subject: limits.address_subject,
            address_limit: limits.address_limit,
            address_window: limits.address_window,
            name_subject: limits.name_subject,
            name_place: limits.name_place,
            place: &attempt.rate_limit_keys.address_digest,
            details: &details(attempt, session, counters.session_epoch),
        })?;
        if is_done {
            noted.log(None);
        }
        Ok(is_done.then_some(Counters { login: counters.login + 1, ..*counters }))
    }
}

impl<L: Link> Store for PgStore<L> {
    fn find(
        &mut self,
        username: &Username,
        name_match: NameMatch,
        rate_limit_keys: &RateLimitKeys,
    ) -> Result<AccountSnapshot, StoreError> {
        let key = (name_match == NameMatch::Confusable).then(|| username.sameness_key());
        let row: SnapshotRow = self.call(Find {
            given_name: username.as_str(),
            name_key: key.as_deref(),
            place: &rate_limit_keys.address_digest,
            address_subject: &rate_limit_keys.address,
            issuances_subject: &rate_limit_keys.issuances,
            name_subject: &rate_limit_keys.name,
        })?;
        row.read(rate_limit_keys)
    }

    fn create_account(&mut self, attempt: &Attempt<'_>, account: &NewAccount<'_>) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, None);
        let call = CreateAccount {
            attempt: noted.attempt(),
            limits: noted.limits(),
            name_key: &account.username.sameness_key(),
            password: account.password.token(),
            password_key: account.password.key().map(KeyId::as_str),
            password_binding: account.password.mac().map(RowMac::as_str),
            past_binding: account.past_password.mac().map(RowMac::as_str),
            state: account.status.state.as_str(),
            origin: account.status.origin.as_str(),
            operator_touched: account.status.had_admin_intervention(),
            standing_binding: account.mac.as_str(),
            is_legacy: account.legacy,
            place: &attempt.rate_limit_keys.address_digest,
            needed_keys: attempt.needed_keys,
        };
        self.save(&noted, call)
    }

    fn replace_password(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        new: &NewPassword<'_>,
    ) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(grant.account().id));
        let session = grant.session().map(write_session);
        let call = ReplacePassword {
            attempt: noted.attempt(),
            seen: seen_by_grant(grant, session.as_deref(), attempt),
            limits: noted.limits(),
            change: change(
                &new.change,
                grant,
                grant.previous_after_password(attempt.at),
                new.password.key(),
                new.expiry,
                attempt,
            ),
            new_password: new.password.token(),
            new_password_binding: new.password.mac().map(RowMac::as_str),
            past_binding: new.past_password.mac().map(RowMac::as_str),
            starts_over: grant.starts_over(),
        };
        self.save(&noted, call)
    }

    fn replace_second_factor(
        &mut self,
        attempt: &Attempt<'_>,
        grant: &Grant<'_>,
        new: &NewSecondFactor<'_>,
    ) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(grant.account().id));
        let session = grant.session().map(write_session);
        let seen_mfa = grant.account().second_factor.as_ref().map_or("", |factor| factor.secret.token());
        let call = ReplaceSecondFactor {
            attempt: noted.attempt(),
            seen: Seen { seen_mfa: Some(seen_mfa), ..seen_by_grant(grant, session.as_deref(), attempt) },
            limits: noted.limits(),
            change: change(
                &new.change,
                grant,
                grant.previous_after_second_factor(),
                new.secret.key(),
                new.expiry,
                attempt,
            ),
            new_mfa: new.secret.token(),
            new_mfa_binding: new.secret.mac().map(RowMac::as_str),
            waits: new.takes_effect == TakesEffect::AtItsFirstCode,
        };
        self.save(&noted, call)
    }

    fn complete_login(
        &mut self,
        attempt: &Attempt<'_>,
        proven: &ProvenLogin<'_>,
        session: Option<&SessionId>,
    ) -> Result<Saved, StoreError> {
        let session = session.map(write_session);
        let noted = Noted::of(attempt, Some(proven.account().id));
        if let Some(counters) = self.complete_usual_login(&noted, attempt, proven, session.as_deref())? {
            return Ok(Saved::Yes(counters));
        }
        let call = CompleteLogin {
            attempt: noted.attempt(),
            seen: seen_by_login(proven, attempt),
            limits: noted.limits(),
            login: login(proven, attempt),
            new_state: proven.status().state.as_str(),
            standing_key: proven.key().as_str(),
            standing_binding: proven.status_mac().as_str(),
            place: &attempt.rate_limit_keys.address_digest,
            session: session.as_deref(),
        };
        self.save(&noted, call)
    }

    fn mark_expired(&mut self, attempt: &Attempt<'_>, proven: &ProvenLogin<'_>) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(proven.account().id));
        let call = MarkExpired {
            attempt: noted.attempt(),
            seen: seen_by_login(proven, attempt),
            limits: noted.limits(),
            login: login(proven, attempt),
            marked_since: proven.marked_since().map(UnixTime::seconds),
        };
        self.save(&noted.because(Reason::Expired), call)
    }

    fn note_factor(&mut self, attempt: &Attempt<'_>, factor: &ProvenFactor<'_>) -> Result<Saved, StoreError> {
        let noted = Noted::of(attempt, Some(factor.account().id));
        let call = NoteFactor {
            attempt: noted.attempt(),
            seen: seen_by_factor(factor, attempt),
            limits: noted.limits(),
            must_change: factor.must_change(),
        };
        self.save(&noted, call)
    }

    fn refuse(&mut self, attempt: &Attempt<'_>, refusal: &Refusal) -> Result<Saved<()>, StoreError> {
        let noted = Noted::of(attempt, refusal.account);
        let call = Refuse {
            attempt: noted.refused(),
            limits: noted.limits(),
            reason: refusal.reason.as_str(),
            is_right_password: refusal.right_password,
            is_wrong_code: refusal.wrong_code,
            step: refusal.step.map(TotpStep::number),
            otp_limit: attempt.limits.otp_failures,
        };
        self.note(&noted.because(refusal.reason), call)
    }

    fn refuse_locked(
        &mut self,
        attempt: &Attempt<'_>,
        account: Option<AccountId>,
        lock: &TooManyAttempts,
    ) -> Result<(), StoreError> {
        let noted = Noted::of(attempt, account);
        let (locked_subject, scope) = if lock.of_address {
            (&attempt.rate_limit_keys.address, "address")
        } else {
            (&attempt.rate_limit_keys.name, "account")
        };
        let call = RefuseLocked { attempt: noted.refused(), locked_subject, scope };
        self.note(&noted.because(Reason::TooManyAttempts), call).map(|_| ())
    }
}
