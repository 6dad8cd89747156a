//! `maintain`: what a database needs from time to time, by who may write its tables.

use crate::database::Database;
use crate::link::ClientLink;
use crate::say::say;
use anyhow::{Context, Result};
use cofrap_accounts::{AdministrationKeys, Caller, Env, Maintained, RequestContext, maintain_as_owner};
use cofrap_crypto::Keyring;
use cofrap_edge::{OperatorSettings, PgStore, SystemClock, SystemRng};
use tokio::runtime::Handle;

impl Database {
    /// Does batch after batch until nothing is left to do, and says what that came to.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn maintain(&self, keyring: Keyring, settings: &OperatorSettings) -> Result<()> {
        let link = ClientLink { client: self.connect().await?, runtime: Handle::current() };
        let settings = settings.rules.clone();
        let done = tokio::task::spawn_blocking(move || -> Result<()> {
            let mut env = Env {
                store: PgStore::over(link),
                clock: SystemClock,
                rng: SystemRng::default(),
                context: RequestContext {
                    keys: AdministrationKeys { keyring, operator: None },
                    caller: Caller { route: Some("maintain".to_owned()), ..Caller::default() },
                    settings,
                },
            };
            loop {
                let maintained = maintain_as_owner(&mut env).context("the database was not maintained")?;
                say_maintained(&maintained);
                if !maintained.has_more() {
                    return Ok(());
                }
            }
        });
        done.await?
    }
}

fn say_maintained(maintained: &Maintained) {
    let Maintained { partitions, batch, masked, accounts } = maintained;
    if batch.clocks_differ {
        say("warning: this machine's clock and the database's are more than five minutes apart: nothing was removed");
    }
    for (what, names) in [
        ("partitions of the audit made", &partitions.made),
        ("partitions of the audit dropped", &partitions.dropped),
        ("partitions of the audit in use, left for the next time", &partitions.busy),
        ("accounts removed that nobody completed", accounts),
    ] {
        if !names.is_empty() {
            say(&format!("{what}: {}", names.join(", ")));
        }
    }
    let counts = [
        ("minutes of locked attempts written", batch.locked_minutes),
        ("rows counted", batch.counted),
        ("refused attempts removed", batch.refusals),
        ("actions removed", batch.actions),
        ("rows whose names became digests", *masked),
        ("counters removed", batch.counters),
        ("marks of ended sessions removed", batch.sessions),
    ];
    let counts: Vec<_> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what}: {count}")).collect();
    say(&if counts.is_empty() { "nothing else to do".to_owned() } else { counts.join(", ") });
}
