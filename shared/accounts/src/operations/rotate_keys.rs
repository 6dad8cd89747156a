//! `rotate_keys`: encrypts stored secrets again under the first key, batch by batch.

use crate::operations::case::Requester;
use crate::operations::env::{Clock, Env};
use crate::operations::operator::{OperatorError, done, require_operator};
use crate::store::interface::OperatorStore;
use crate::store::rotation::{MovedAccount, MovedSecret, MovedSecrets, RotationCursor};
use crate::types::account::Account;
use crate::types::audit::Action;
use crate::types::bearer::Bearer;
use crate::types::keys::AdministrationKeys;
use crate::types::time::UnixTime;
use cofrap_crypto::{Keyring, SealContext, Sealed, SecretColumn};
use rand_core::CryptoRng;

/// A request for one batch of a key rotation.
#[derive(Debug)]
pub struct RotateKeys {
    /// Where the previous batch ended.
    pub after: RotationCursor,
    /// The operator's token.
    pub bearer: Bearer,
}

/// How far a rotation has come.
#[derive(Debug)]
pub struct Rotated {
    /// Rows whose secrets were encrypted again.
    pub moved: i64,
    /// Rows that are left, counted up to 10,000; unreadable ones are among them.
    pub rows_left: i64,
    /// Rows of this batch with a secret that no key decrypts, or whose MAC is wrong, as `table:id`.
    pub unreadable: Vec<String>,
    /// Where the next batch begins; none after the last one.
    pub next: Option<RotationCursor>,
}

/// Encrypts a batch of stored secrets again, under the first key and with their MACs. When nothing is left, keys that no row needs are
/// forgotten: only then may they be removed from the configuration.
///
/// # Errors
/// See [`OperatorError`].
pub fn rotate_keys(
    env: &mut Env<impl OperatorStore, impl Clock, impl CryptoRng, AdministrationKeys>,
    command: &RotateKeys,
) -> Result<Rotated, OperatorError> {
    let (store, context, now) = (&mut env.store, &env.context, env.clock.now());
    let keyring = &context.keys.keyring;
    let requester = Requester::new(context, "", &keyring.digest_key(), now);
    let attempt = requester.attempt(Action::KeysRotated, None);
    let operator = require_operator(store, context.keys.operator.as_ref(), &command.bearer, &attempt)?;
    let batch = store.find_stale(&operator, keyring.first_id(), &command.after)?;
    batch.keys.check(keyring)?;

    let reseal = Reseal { keyring, now };
    let (mut moved, mut unreadable, mut last) = (MovedSecrets::default(), Vec::new(), command.after);
    for account in &batch.accounts {
        last.account = account.id.0;
        match reseal.account(account) {
            Some(account) => moved.accounts.push(account),
            None => unreadable.push(format!("users_v2:{}", account.id.0)),
        }
    }
    for past in &batch.history {
        last.history = past.id;
        match reseal.password(&past.password, SecretColumn::PastPassword.of(&past.owner)) {
            Some(secret) => moved.history.push((past.id, secret)),
            None => unreadable.push(format!("password_history_v2:{}", past.id)),
        }
    }
    let moved = done(store.move_secrets(&attempt.by_operator(), &operator, &moved, keyring.first_id())?)?;
    let next = (last != command.after).then_some(last);
    Ok(Rotated { moved, rows_left: (batch.rows_left - moved).max(0), unreadable, next })
}

/// Encrypts stored secrets again. None if one cannot be read.
struct Reseal<'a> {
    keyring: &'a Keyring,
    now: UnixTime,
}

impl Reseal<'_> {
    fn account(&self, account: &Account) -> Option<MovedAccount> {
        let owner = &account.username;
        let optional = |sealed: Option<&Sealed>, column: SecretColumn| match sealed {
            Some(sealed) => self.secret(sealed, column.of(owner)).map(Some),
            None => Some(None),
        };
        if !account.is_intact(self.keyring) {
            return None;
        }
        let second_factor = account.second_factor.as_ref().map(|factor| &factor.secret);
        let pending = account.pending.as_ref().map(|pending| &pending.secret);
        Some(MovedAccount {
            id: account.id,
            password: self.password(&account.password, SecretColumn::Password.of(owner))?,
            second_factor: optional(second_factor, SecretColumn::SecondFactor)?,
            pending: optional(pending, SecretColumn::PendingSecondFactor)?,
            status: account.status,
            mac: account.mac_of(account.status, self.keyring),
        })
    }

    fn secret(&self, sealed: &Sealed, context: SealContext<'_>) -> Option<MovedSecret> {
        let opened = self.keyring.open(sealed, context).ok()?;
        let new = self.keyring.seal(&opened.clear, self.now.unsigned_seconds(), context);
        Some(MovedSecret { old: sealed.token().to_owned(), new })
    }

    fn password(&self, stored: &Sealed, context: SealContext<'_>) -> Option<MovedSecret> {
        let new = self.keyring.refresh_password(stored, self.now.unsigned_seconds(), context).ok()?;
        Some(MovedSecret { old: stored.token().to_owned(), new: new.unwrap_or_else(|| stored.clone()) })
    }
}
