//! Accounts to log in to, made in the database directly: as the functions would have left them.

use anyhow::{Context, Result};
use cofrap_accounts::{Access, AccountId, AccountStatus, AdminIntervention, Clock, Origin, State, sameness_key};
use cofrap_crypto::{Keyring, RowMac, Sealed, SecretColumn};
use cofrap_edge::SystemClock;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio_postgres::Client;
use totp_rs::{Builder, Secret, Totp};

/// The password of every account.
const PASSWORD: &str = "xT7#bench-password-24ch!";

/// The secret of every account's second factor.
const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// Seconds of a step of a one-time code. RFC 6238, section 5.2.
const STEP: i64 = 30;

/// Active accounts with both factors, each of whose codes is used once.
pub(crate) struct Accounts {
    prefix: String,
    /// The latest step that each account used.
    steps: Vec<AtomicI64>,
    next: AtomicUsize,
    totp: Totp,
}

impl Accounts {
    /// Makes `count` accounts; their names begin with `prefix`.
    pub(crate) async fn make(client: &Client, keyring: &Keyring, prefix: &str, count: usize) -> Result<Self> {
        let now = SystemClock.now();
        let insert = "
            INSERT INTO users_v2 (id, username, username_key, password, password_key, password_binding, mfa, mfa_key, mfa_binding,
                                  mfa_gendate, gendate, state, origin, standing_key, standing_binding, password_generation,
                                  mfa_generation, identity)
            SELECT n.id, n.name, n.name_key, n.password, $7, n.password_binding, n.mfa, $7, n.mfa_binding, $8, $8, 'active',
                   'generation', $7, n.standing_binding, 1, 1, replace(gen_random_uuid()::text, '-', '')
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $9::text[], $10::text[])
                 AS n (id, name, name_key, password, password_binding, mfa, mfa_binding, standing_binding)";
        client
            .execute(
                "INSERT INTO encryption_keys (id, registered_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                &[&keyring.first_id().as_str(), &now.seconds()],
            )
            .await?;
        let first: i64 = client.query_one("SELECT coalesce(max(id), 0)::bigint FROM users_v2", &[]).await?.get(0);
        let status = AccountStatus {
            state: State::Active,
            origin: Origin::SelfRegistered,
            admin_intervention: AdminIntervention::Never,
            access: Access::Enabled,
        };
        let indices: Vec<usize> = (0..count).collect();
        for chunk in indices.chunks(2_000) {
            let mut columns: [Vec<String>; 7] = Default::default();
            let mut ids = Vec::new();
            for index in chunk {
                let name = format!("{prefix}{index}");
                let id = first + 1 + i64::try_from(*index)?;
                let password = keyring.seal(PASSWORD, now.unsigned_seconds(), SecretColumn::Password.of(&name));
                let mfa = keyring.seal(SECRET, now.unsigned_seconds(), SecretColumn::SecondFactor.of(&name));
                let binding = |sealed: &Sealed| sealed.mac().map(RowMac::as_str).unwrap_or_default().to_owned();
                let values = [
                    name.clone(),
                    sameness_key(&name),
                    password.token().to_owned(),
                    binding(&password),
                    mfa.token().to_owned(),
                    binding(&mfa),
                    status.mac_for(AccountId(id), &name, keyring).as_str().to_owned(),
                ];
                ids.push(id);
                for (column, value) in columns.iter_mut().zip(values) {
                    column.push(value);
                }
            }
            let [names, keys, passwords, password_bindings, mfas, mfa_bindings, standing_bindings] = &columns;
            let key = keyring.first_id().as_str();
            client
                .execute(
                    insert,
                    &[
                        &ids,
                        names,
                        keys,
                        passwords,
                        password_bindings,
                        mfas,
                        &key,
                        &now.seconds(),
                        mfa_bindings,
                        standing_bindings,
                    ],
                )
                .await
                .context("cannot make the accounts")?;
        }
        client
            .batch_execute("SELECT setval(pg_get_serial_sequence('users_v2', 'id'), (SELECT max(id) FROM users_v2))")
            .await?;
        Ok(Self {
            prefix: prefix.to_owned(),
            steps: (0..count).map(|_| AtomicI64::new(0)).collect(),
            next: AtomicUsize::new(0),
            totp: totp(),
        })
    }

    /// The body of a login that is right, its code computed now; none while every account has used the codes that there are.
    pub(crate) fn login(&self, now: u64) -> Option<String> {
        let step = i64::try_from(now).ok()? / STEP;
        for _ in 0..self.steps.len() {
            let index = self.next.fetch_add(1, Ordering::Relaxed) % self.steps.len();
            // The next step's code is accepted too; that of the step before may be too old when it is judged.
            let used = self.steps[index].load(Ordering::Relaxed);
            let wanted = (used + 1).max(step);
            if wanted <= step + 1
                && self.steps[index].compare_exchange(used, wanted, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                let code = self.totp.generate((wanted * STEP).unsigned_abs());
                let name = &self.prefix;
                return Some(format!(r#"{{"username":"{name}{index}","password":"{PASSWORD}","2FA_code":"{code}"}}"#));
            }
        }
        None
    }
}

fn totp() -> Totp {
    let secret = Secret::try_from_base32(SECRET).expect("it is base32");
    Builder::new().with_secret(secret).build_noncompliant()
}
