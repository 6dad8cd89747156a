//! `bench --scale`: what a login, and a start, cost in a small database and in a large one.

use super::accounts::Accounts;
use super::client::{Round, round};
use super::cpu::Watched;
use super::prepared::Prepared;
use super::process::{Host, free_address};
use super::requests::{floor, login, make_floor};
use crate::components;
use anyhow::Result;
use cofrap_accounts::Clock;
use cofrap_crypto::SecretColumn;
use cofrap_database::say;
use cofrap_edge::SystemClock;
use cofrap_host::{LocalPostgres, PostgresHome};
use cofrap_take_over::Expire;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Accounts and rows of the audit in the small database.
const SMALL: (i64, i64) = (1_000, 10_000);

/// Accounts that log in at each size, once each.
const LOGINS: usize = 4_000;

/// A multiple of the small database.
pub(crate) async fn bench(manifest: &Path, times: i64) -> Result<()> {
    components::build_with_floor()?;
    let server = LocalPostgres::start(PostgresHome::Temporary, say).await?;
    let measured = measure(&server, manifest, times).await;
    server.stop().await?;
    measured
}

async fn measure(server: &LocalPostgres, manifest: &Path, times: i64) -> Result<()> {
    let mut prepared = Prepared::on(server).await?;
    let address = free_address()?;
    let mut host = Host::start(manifest, address, &prepared.variables, false)?;
    host.wait(address)?;
    make_floor(&prepared.client).await?;
    println!(
        "{:>10} {:>11} {:>12} {:>12} {:>7} {:>9}",
        "accounts", "audit rows", "login p50", "floor p50", "ratio", "a start"
    );
    let (mut accounts, mut rows) = (0, 0);
    for (index, factor) in [1, times].into_iter().enumerate() {
        let (more_accounts, more_rows) = (SMALL.0 * factor - accounts, SMALL.1 * factor - rows);
        say(&format!("making {more_accounts} accounts and {more_rows} rows of the audit"));
        fill(&prepared, accounts, more_accounts, more_rows).await?;
        (accounts, rows) = (accounts + more_accounts, rows + more_rows);
        let people = Accounts::make(&prepared.client, &prepared.keyring, &format!("people{index}-"), LOGINS).await?;
        for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
            prepared.client.batch_execute(statement).await?;
        }
        let start = time_of_a_start(&mut prepared).await?;
        let (login, floor) = tokio::task::spawn_blocking(move || log_in(address, people)).await??;
        let [login, floor] = [login, floor].map(|round| round.p50.as_secs_f64() * 1000.0);
        println!(
            "{accounts:>10} {rows:>11} {login:>9.2} ms {floor:>9.2} ms {:>7.2} {:>7.1} s",
            login / floor,
            start.as_secs_f64()
        );
    }
    Ok(())
}

/// A login and the floor, at one connection.
fn log_in(address: SocketAddr, people: Accounts) -> Result<(Round, Round)> {
    let unwatched = Watched { host: None, database: None };
    let time = Duration::from_secs(3);
    let floor = round(address, &floor(), 1, time, &unwatched)?;
    Ok((round(address, &login(Arc::new(people)), 1, time, &unwatched)?, floor))
}

/// What `up` and `migrate` do to a database that is current.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's time")]
async fn time_of_a_start(prepared: &mut Prepared) -> Result<Duration> {
    let began = Instant::now();
    cofrap_take_over::plan_take_over(&prepared.client, &prepared.keyring, SystemClock.now(), Expire::Nobody).await?;
    cofrap_migrations::migrate(&mut prepared.client, say).await?;
    Ok(began.elapsed())
}

/// Adds accounts of four kinds (ours twice, another program's hashes, another program's tokens), and attempts on them.
async fn fill(prepared: &Prepared, first: i64, accounts: i64, rows: i64) -> Result<()> {
    let Prepared { client, keyring, .. } = prepared;
    let now = SystemClock.now();
    let token =
        keyring.seal("a password of another program", now.unsigned_seconds(), SecretColumn::Password.of("nobody"));
    let insert = "
        INSERT INTO users_v2 (username, username_key, password, password_key, password_binding, gendate, state, origin)
        SELECT 'filler' || n, 'filler' || n,
               CASE n % 4 WHEN 2 THEN '$2b$12$' || rpad(n::text, 53, 'x') ELSE $1 END,
               CASE WHEN n % 4 < 2 THEN $2 END, CASE WHEN n % 4 < 2 THEN 'bound' END, $3, 'active', 'external'
        FROM generate_series($4::bigint + 1, $4::bigint + $5::bigint) n";
    let key = keyring.first_id().as_str();
    let known = "INSERT INTO encryption_keys (id, registered_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    client.execute(known, &[&key, &now.seconds()]).await?;
    client.execute(insert, &[&token.token(), &key, &now.seconds(), &first, &accounts]).await?;
    let audit = "
        INSERT INTO auth_logs_v2 (user_id, action, ip_address, success, details, created_at)
        SELECT u.id, 'login', '203.0.113.7', TRUE, jsonb_build_object('username', u.username), now()
        FROM (SELECT id, username, row_number() OVER () AS place FROM users_v2) u, generate_series(1, $1::bigint / $2::bigint) n
        WHERE u.place <= $2::bigint";
    client.execute(audit, &[&rows, &accounts]).await?;
    Ok(())
}
