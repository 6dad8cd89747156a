//! Parameters that several functions of the database have in common.

use super::calls;
use super::rows::NamesRow;
use crate::trace::{Attempted, note_attempt};
use cofrap_accounts::{
    Account, AccountId, Attempt, AttemptOutcome, CredentialChange, Expiry, FIRST_LOCK, Grant, ISSUANCE_WINDOW,
    LONGEST_LOCK, MovedSecret, MovedSecrets, NAME_MEMORY, NamedEntry, PreviousBecomes, ProofKind, ProvenFactor,
    ProvenLogin, Reason, UnixTime, UserAgent,
};
use cofrap_crypto::{KeyId, RowMac, Sealed, TotpStep};
use serde::Serialize;
use std::collections::BTreeMap;

/// An attempt, as the parameters of audit row and rate limits.
#[derive(Clone)]
pub(super) struct Noted<'a> {
    attempt: &'a Attempt<'a>,
    account: Option<AccountId>,
    address: Option<String>,
    refused_for: Option<Reason>,
}

impl<'a> Noted<'a> {
    pub(super) fn of(attempt: &'a Attempt<'a>, account: Option<AccountId>) -> Self {
        let address = attempt.caller.address.map(|address| address.to_string());
        Self { attempt, account, address, refused_for: None }
    }

    /// The same as a refusal.
    pub(super) fn because(&self, reason: Reason) -> Self {
        Self { refused_for: Some(reason), ..self.clone() }
    }

    /// The reason of the refusal.
    pub(super) const fn refused_for(&self) -> Option<Reason> {
        self.refused_for
    }

    /// Has the request's log line say what was attempted, and why it was refused if it was.
    pub(super) fn log(&self, reason: Option<Reason>) {
        let (action, account) = (self.attempt.action.as_str(), self.account.map(|account| account.0));
        note_attempt(Attempted { action, account, reason: reason.map(Reason::as_str) });
    }

    pub(super) fn attempt(&self) -> calls::Attempt<'_> {
        let attempt = self.attempt;
        calls::Attempt {
            action: attempt.action.as_str(),
            given_name: attempt.username,
            caller_address: self.address.as_deref(),
            agent: attempt.caller.user_agent.as_ref().map(UserAgent::as_str),
            moment: attempt.at.seconds(),
            account: self.account.map(|account| account.0),
            proof: attempt.proof.map(ProofKind::as_str),
            route: attempt.caller.route.as_deref(),
        }
    }

    /// The same for a refusal, whose name may have to be replaced by a digest.
    pub(super) fn refused(&self) -> calls::Attempt<'_> {
        calls::Attempt { given_name: self.attempt.alias.or(self.attempt.username), ..self.attempt() }
    }

    /// The rate limits of the attempt, and what it adds to their counts.
    pub(super) fn limits(&self) -> calls::Limits<'_> {
        let Attempt { rate_limit_keys, limits, .. } = *self.attempt;
        let counts_issuance = self.attempt.action.is_issuance() && limits.address_issuances > 0;
        let (address_added, name_effect) = match self.attempt.outcome {
            AttemptOutcome::NotChecked => (None, None),
            AttemptOutcome::CredentialsFailed => (Some(1), Some("count")),
            AttemptOutcome::TokenFailed => (Some(1), None),
            AttemptOutcome::CredentialsAccepted => (Some(0), Some("keep")),
            AttemptOutcome::TokenAccepted => (Some(0), None),
            AttemptOutcome::Completed => (Some(0), Some("reset")),
            AttemptOutcome::Renewed => (Some(0), Some("forgive")),
        };
        let address_added = address_added.filter(|_| limits.address_failures > 0);
        let name_effect = name_effect.filter(|_| limits.account_failures > 0);
        calls::Limits {
            issuances_subject: counts_issuance.then_some(&rate_limit_keys.issuances),
            issuances_limit: limits.address_issuances,
            issuances_window: ISSUANCE_WINDOW,
            address_subject: address_added.is_some().then_some(&rate_limit_keys.address),
            address_added: address_added.unwrap_or(0),
            address_limit: limits.address_failures,
            address_window: limits.address_window,
            name_subject: name_effect.is_some().then_some(&rate_limit_keys.name),
            name_place: if self.attempt.known_address { &rate_limit_keys.address_digest } else { "" },
            name_effect: name_effect.unwrap_or("keep"),
            name_limit: limits.account_failures,
            first_lock: FIRST_LOCK,
            longest_lock: LONGEST_LOCK,
            name_memory: NAME_MEMORY,
        }
    }
}

/// What must not have changed of an account whose credentials were checked.
fn seen<'a>(account: &'a Account, step: Option<TotpStep>, attempt: &Attempt<'_>) -> calls::Seen<'a> {
    calls::Seen {
        seen_password_generation: account.counters.password_version,
        seen_mfa_generation: account.counters.mfa_version,
        seen_security_counter: account.counters.security,
        seen_login_counter: None,
        seen_session_epoch: None,
        seen_state: None,
        seen_mark: None,
        seen_password: Some(account.password.token()),
        seen_mfa: Some(account.second_factor.as_ref().map_or("", |factor| factor.secret.token())),
        seen_pending_mfa: None,
        seen_session: None,
        step: step.map(TotpStep::number),
        otp_limit: if step.is_some() { attempt.limits.otp_failures } else { 0 },
    }
}

/// The limit of wrong codes holds for a right password alone, too.
pub(super) fn seen_by_factor<'a>(factor: &'a ProvenFactor<'_>, attempt: &Attempt<'_>) -> calls::Seen<'a> {
    calls::Seen { otp_limit: attempt.limits.otp_failures, ..seen(factor.account(), factor.step(), attempt) }
}

pub(super) fn seen_by_login<'a>(login: &'a ProvenLogin<'_>, attempt: &Attempt<'_>) -> calls::Seen<'a> {
    let account = login.account();
    let pending = account.pending.as_ref().map_or("", |pending| pending.secret.token());
    calls::Seen {
        seen_login_counter: login.used_counter(),
        seen_mark: Some(account.expiry != Expiry::Unmarked),
        seen_pending_mfa: login.promotes_pending().then_some(pending),
        ..seen(account, login.step(), attempt)
    }
}

/// What a grant depends on. Not the tokens: a rotation may encrypt them again meanwhile.
pub(super) fn seen_by_grant<'a>(
    grant: &'a Grant<'_>,
    session: Option<&'a str>,
    attempt: &Attempt<'_>,
) -> calls::Seen<'a> {
    let account = grant.account();
    calls::Seen {
        seen_login_counter: Some(account.counters.login),
        seen_session_epoch: Some(account.counters.session_epoch),
        seen_state: Some(account.status.state.as_str()),
        seen_mark: Some(account.expiry != Expiry::Unmarked),
        seen_password: None,
        seen_mfa: None,
        seen_session: session,
        ..seen(account, grant.step(), attempt)
    }
}

/// What every replacement of a credential changes besides.
pub(super) fn change<'a>(
    change: &'a CredentialChange<'_>,
    grant: &Grant<'_>,
    previous: PreviousBecomes,
    key: Option<&'a KeyId>,
    expiry: Expiry,
    attempt: &'a Attempt<'_>,
) -> calls::Change<'a> {
    let marked_since = if let Expiry::Marked { since } = expiry { since } else { None };
    calls::Change {
        key: key.map(KeyId::as_str),
        is_renewal: grant.is_renewal(),
        operator_touched: change.status.had_admin_intervention(),
        standing_binding: change.mac.as_str(),
        is_marked: expiry != Expiry::Unmarked,
        marked_since: marked_since.map(UnixTime::seconds),
        is_legacy: change.legacy,
        previous: match previous {
            PreviousBecomes::Kept => "kept",
            PreviousBecomes::Forgotten => "forgotten",
            PreviousBecomes::Replaced => "replaced",
        },
        place: &attempt.rate_limit_keys.address_digest,
        needed_keys: attempt.needed_keys,
    }
}

/// What a login with right credentials changes.
pub(super) fn login<'a>(login: &'a ProvenLogin<'_>, attempt: &'a Attempt<'_>) -> calls::Login<'a> {
    let (again_password, again_password_key, again_password_binding) = columns(login.password());
    let (again_mfa, again_mfa_key, again_mfa_binding) = columns(login.second_factor());
    calls::Login {
        promotes_pending: login.promotes_pending(),
        again_password,
        again_password_key,
        again_password_binding,
        again_mfa,
        again_mfa_key,
        again_mfa_binding,
        mfa_issued_at: login.second_factor_issued_at().seconds(),
        needed_keys: attempt.needed_keys,
    }
}

/// The details of a complete login's audit row, as `note_attempt.sql` and `complete_login.sql` write them.
#[derive(Serialize)]
struct Details<'a> {
    username: Option<&'a str>,
    known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i64>,
}

/// The same as JSON, for a login that does not change the session epoch.
pub(super) fn details(attempt: &Attempt<'_>, session: Option<&str>, epoch: i64) -> String {
    json(&Details {
        username: attempt.username,
        known: true,
        proof: attempt.proof.map(ProofKind::as_str),
        route: attempt.caller.route.as_deref(),
        session,
        epoch: session.map(|_| epoch),
    })
}

/// Rows of the audit as `mask_names.sql` reads them.
pub(super) fn masked_names(masked: &[NamedEntry]) -> String {
    let names = |names: &Vec<(String, bool)>| names.iter().cloned().collect::<BTreeMap<_, _>>();
    let rows = masked.iter().map(|entry| NamesRow {
        id: entry.id,
        username: entry.username.clone(),
        known: entry.is_known,
        names: entry.names.as_ref().map(names),
    });
    json(&rows.collect::<Vec<_>>())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are JSON")
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
            password_binding: mac(&account.password),
            mfa_old: account.second_factor.as_ref().map(old),
            mfa: account.second_factor.as_ref().map(token),
            mfa_binding: account.second_factor.as_ref().and_then(mac),
            pending_mfa_old: account.pending.as_ref().map(old),
            pending_mfa: account.pending.as_ref().map(token),
            pending_mfa_binding: account.pending.as_ref().and_then(mac),
            state: account.status.state.as_str(),
            operator_touched: account.status.had_admin_intervention(),
            disabled: account.status.is_disabled(),
            standing_binding: account.mac.as_str(),
        })
        .collect();
    let history: Vec<_> = moved
        .history
        .iter()
        .map(|(id, secret)| HistoryRecord {
            id: *id,
            password_old: old(secret),
            password: token(secret),
            password_binding: mac(secret),
        })
        .collect();
    (json(&accounts), json(&history))
}

fn old(secret: &MovedSecret) -> &str {
    &secret.old
}

fn token(secret: &MovedSecret) -> &str {
    secret.new.token()
}

fn mac(secret: &MovedSecret) -> Option<&str> {
    secret.new.mac().map(RowMac::as_str)
}

/// The columns of a stored secret: token, key and MAC.
fn columns(sealed: Option<&Sealed>) -> (Option<&str>, Option<&str>, Option<&str>) {
    let Some(sealed) = sealed else { return (None, None, None) };
    (Some(sealed.token()), sealed.key().map(KeyId::as_str), sealed.mac().map(RowMac::as_str))
}
