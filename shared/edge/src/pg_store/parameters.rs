//! What the statements are given.

use super::LoginIs;
use cofrap_accounts::{
    AccountId, Attempt, CredentialChange, Expiry, FIRST_LOCK, GENERATION_WINDOW, Grant, LONGEST_LOCK, MovedSecret,
    MovedSecrets, NAME_MEMORY, ProofKind, ProvenLogin, Reason, Tally, UnixTime,
};
use cofrap_crypto::{Binding, KeyId, Sealed, TotpStep};
use serde::Serialize;
use spin_sdk::pg4::ParameterValue;

/// What every writing statement is given, in its order.
pub(super) fn shared_parameters(
    attempt: &Attempt<'_>,
    account: Option<AccountId>,
    if_not_done: Reason,
    if_done: Option<Reason>,
) -> Vec<ParameterValue> {
    let (subjects, limits) = (attempt.subjects, attempt.limits);
    let counts_generation = attempt.action.is_generation() && limits.address_generations > 0;
    let (address_added, name_effect) = match attempt.tally {
        Tally::NotJudged => (None, None),
        Tally::Failure => (Some(1), Some("count")),
        Tally::TokenFailure => (Some(1), None),
        Tally::Right => (Some(0), Some("keep")),
        Tally::TokenRight => (Some(0), None),
        Tally::Complete => (Some(0), Some("reset")),
        Tally::Renewed => (Some(0), Some("forgive")),
    };
    let address_added = address_added.filter(|_| limits.address_failures > 0);
    let name_effect = name_effect.filter(|_| limits.account_failures > 0);
    Own::new()
        .text(attempt.action.as_str())
        .optional_text(attempt.username)
        .optional_owned(attempt.caller.address.map(|address| address.to_string()))
        .optional_text(attempt.caller.user_agent.as_ref().map(cofrap_accounts::UserAgent::as_str))
        .number(attempt.at.seconds())
        .optional_number(account.map(|account| account.0))
        .text(if_not_done.as_str())
        .optional_text(attempt.proof.map(ProofKind::as_str))
        .optional_text(if_done.map(Reason::as_str))
        .optional_text(counts_generation.then_some(&subjects.generations))
        .number(limits.address_generations)
        .number(GENERATION_WINDOW)
        .optional_text(address_added.is_some().then_some(&subjects.address))
        .number(address_added.unwrap_or(0))
        .number(limits.address_failures)
        .number(limits.address_window)
        .optional_text(name_effect.is_some().then_some(&subjects.name))
        .text(if attempt.known_place { &subjects.place } else { "" })
        .text(name_effect.unwrap_or("keep"))
        .number(limits.account_failures)
        .number(FIRST_LOCK)
        .number(LONGEST_LOCK)
        .number(NAME_MEMORY)
        .0
}

/// Parameters, one after the other.
pub(super) struct Own(pub(super) Vec<ParameterValue>);

impl Own {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    fn and(mut self, value: ParameterValue) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.and(text.to_owned().into())
    }

    pub(super) fn optional_text(self, text: Option<&(impl AsRef<str> + ?Sized)>) -> Self {
        self.optional_owned(text.map(|text| text.as_ref().to_owned()))
    }

    fn optional_owned(self, text: Option<String>) -> Self {
        self.and(text.into())
    }

    pub(super) fn number(self, number: i64) -> Self {
        self.and(number.into())
    }

    pub(super) fn optional_number(self, number: Option<i64>) -> Self {
        self.and(number.into())
    }

    pub(super) fn flag(self, flag: bool) -> Self {
        self.and(flag.into())
    }

    /// A sealed secret: token, key, binding.
    pub(super) fn sealed(self, sealed: Option<&Sealed>) -> Self {
        self.optional_text(sealed.map(Sealed::token))
            .optional_text(sealed.and_then(Sealed::key).map(KeyId::as_str))
            .optional_text(sealed.and_then(Sealed::binding).map(Binding::as_str))
    }

    /// What a grant was given on, and what it used up: `$24` to `$31`.
    pub(super) fn grant(self, grant: &Grant<'_>) -> Self {
        let account = grant.account();
        let seen = account.counters;
        self.number(seen.password_generation)
            .number(seen.mfa_generation)
            .number(seen.login)
            .number(seen.security)
            .number(seen.session_epoch)
            .text(account.standing.state.as_str())
            .optional_number(grant.step().map(TotpStep::number))
            .flag(grant.is_renewal())
    }

    /// What every replacement of a credential changes: `$32` to `$37`.
    pub(super) fn change(self, change: &CredentialChange<'_>, key: Option<&KeyId>, expiry: Expiry) -> Self {
        let (is_marked, since) = match expiry {
            Expiry::Unmarked => (false, None),
            Expiry::Marked { since } => (true, since.map(UnixTime::seconds)),
        };
        self.flag(change.standing.is_touched())
            .optional_text(key.map(KeyId::as_str))
            .text(change.binding.as_str())
            .flag(is_marked)
            .optional_number(since)
            .flag(change.legacy)
    }

    /// The keys that rows need, the limit of wrong codes, and whether the account was marked as expired.
    pub(super) fn guard(self, grant: &Grant<'_>, attempt: &Attempt<'_>) -> Self {
        self.text(attempt.needed_keys)
            .number(attempt.limits.otp_failures)
            .flag(grant.account().expiry != Expiry::Unmarked)
    }

    /// A login that was right: `$24` to `$48`.
    pub(super) fn login(self, login: &ProvenLogin<'_>, is: LoginIs, attempt: &Attempt<'_>) -> Self {
        let account = login.account();
        let (standing, seen) = (login.standing(), account.counters);
        self.optional_number(login.step().map(TotpStep::number))
            .flag(is == LoginIs::TooLate)
            .flag(login.promotes_pending())
            .text(&attempt.subjects.place)
            .sealed(login.password())
            .sealed(login.second_factor())
            .number(login.second_factor_born().seconds())
            .text(standing.state.as_str())
            .text(login.key().as_str())
            .text(login.binding().as_str())
            .optional_number(login.marked_since().map(UnixTime::seconds))
            .number(seen.password_generation)
            .number(seen.mfa_generation)
            .number(seen.security)
            .flag(account.expiry != Expiry::Unmarked)
            .text(account.password.token())
            .optional_text(account.second_factor.as_ref().map(|factor| factor.secret.token()))
            .optional_text(account.pending.as_ref().map(|pending| pending.secret.token()))
            .text(attempt.needed_keys)
            .number(attempt.limits.otp_failures)
            .optional_number(login.used_counter())
    }
}

/// An account's secrets for `jsonb_to_recordset`.
#[derive(Serialize)]
struct AccountRecord<'a> {
    id: i64,
    password_old: &'a str,
    password: &'a str,
    password_binding: Option<&'a str>,
    mfa_old: Option<&'a str>,
    mfa: Option<&'a str>,
    mfa_binding: Option<&'a str>,
    pending_mfa_old: Option<&'a str>,
    pending_mfa: Option<&'a str>,
    pending_mfa_binding: Option<&'a str>,
    state: &'a str,
    operator_touched: bool,
    disabled: bool,
    standing_binding: &'a str,
}

/// A row of the history for `jsonb_to_recordset`.
#[derive(Serialize)]
struct HistoryRecord<'a> {
    id: i64,
    password_old: &'a str,
    password: &'a str,
    password_binding: Option<&'a str>,
}

/// Accounts and rows of the history as JSON.
pub(super) fn moved_secrets(moved: &MovedSecrets) -> (String, String) {
    let accounts: Vec<_> = moved
        .accounts
        .iter()
        .map(|account| AccountRecord {
            id: account.id.0,
            password_old: old(&account.password),
            password: token(&account.password),
            password_binding: binding(&account.password),
            mfa_old: account.second_factor.as_ref().map(old),
            mfa: account.second_factor.as_ref().map(token),
            mfa_binding: account.second_factor.as_ref().and_then(binding),
            pending_mfa_old: account.pending.as_ref().map(old),
            pending_mfa: account.pending.as_ref().map(token),
            pending_mfa_binding: account.pending.as_ref().and_then(binding),
            state: account.standing.state.as_str(),
            operator_touched: account.standing.is_touched(),
            disabled: account.standing.is_disabled(),
            standing_binding: account.binding.as_str(),
        })
        .collect();
    let history: Vec<_> = moved
        .history
        .iter()
        .map(|(id, secret)| HistoryRecord {
            id: *id,
            password_old: old(secret),
            password: token(secret),
            password_binding: binding(secret),
        })
        .collect();
    let json = |result: serde_json::Result<String>| result.expect("texts and numbers are JSON");
    (json(serde_json::to_string(&accounts)), json(serde_json::to_string(&history)))
}

fn old(secret: &MovedSecret) -> &str {
    &secret.old
}

fn token(secret: &MovedSecret) -> &str {
    secret.new.token()
}

fn binding(secret: &MovedSecret) -> Option<&str> {
    secret.new.binding().map(Binding::as_str)
}
