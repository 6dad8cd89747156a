//! How PostgreSQL carries out the statements inside the functions: `cargo xtask explain` prints it, and a test looks for scans of whole
//! tables.

use crate::error::refused;
use crate::version::{SCHEMA_VERSION, schema_of};
use anyhow::{Context, Result};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::{AsyncMessage, Config, NoTls};

/// A call, and the plans of the statements that it came to.
#[derive(Debug)]
pub struct Explained {
    /// The call.
    pub call: String,
    /// As `EXPLAIN` prints them.
    pub plans: String,
}

/// Rows like those of a large database, and what PostgreSQL knows of them.
const FILL: &str = "
    INSERT INTO encryption_keys VALUES ('k1', 0), ('k2', 0);
    INSERT INTO users_v2 (username, username_key, password, password_key, mfa, mfa_key, standing_key, gendate, state, password_generation,
                          mfa_generation)
        SELECT concat('n', n), concat('n', n), 'x', 'k1', 'y', 'k1', 'k1', 0, 'active', 1, 1 FROM generate_series(1, 20000) n;
    INSERT INTO password_history_v2 (user_id, password, password_key, gendate)
        SELECT 1 + n % 20000, 'x', 'k1', 0 FROM generate_series(1, 30000) n;
    INSERT INTO auth_logs_v2 (user_id, action, success, details, created_at)
        SELECT 1 + n % 20000, 'login', TRUE, jsonb_build_object('username', concat('n', 1 + n % 20000)), to_timestamp(n)
        FROM generate_series(1, 60000) n;
    INSERT INTO throttles SELECT concat('s', n), '', 1, 0, 0, 4000000000 FROM generate_series(1, 20000) n;
    INSERT INTO ended_sessions SELECT 1 + n % 20000, concat('e', n), n FROM generate_series(1, 20000) n;
    UPDATE users_v2 SET identity = 'ac' WHERE id = 7;
    UPDATE installation SET identity = '7db';
    ANALYZE";

/// Parameters that several functions share, as their files declare them.
const ATTEMPT: &str = "'login', 'n7', '192.0.2.1', 'agent', 1000, 7, NULL, 'authenticate-user-v2'";
const SEEN: &str = "1, 1, 0, NULL, NULL, NULL, NULL, NULL, 'y', NULL, 'session', 30, 20";
const LIMITS: &str = "'s1', 100, 3600, 's2', 1, 30, 300, 's3', '', 'count', 5, 30, 900, 2592000";
const CHANGE: &str = "'k1', FALSE, FALSE, 'b', FALSE, NULL, FALSE, 'replaced', 'place', ''";
const LOGIN: &str = "TRUE, 'x', 'k1', 'b', 'y', 'k1', 'b', 0, 'k2'";

/// Fills an empty, migrated database, makes every call once, and says how each was carried out. For who may load `auto_explain`.
///
/// # Errors
/// When the database refuses a statement.
pub async fn explain(config: &Config) -> Result<Vec<Explained>> {
    let (client, mut connection) = config.connect(NoTls).await.context("cannot connect")?;
    let said = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&said);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push_str(notice.message());
                heard.push('\n');
            }
        }
    });
    client.batch_execute(FILL).await.map_err(refused)?;
    client
        .batch_execute(
            "LOAD 'auto_explain'; SET plan_cache_mode = force_generic_plan; SET client_min_messages = notice;
             SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on; SET auto_explain.log_level = notice",
        )
        .await
        .map_err(refused)?;
    let mut explained = Vec::new();
    for call in calls() {
        said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let statement = format!("BEGIN; SELECT {}.{call}; ROLLBACK", schema_of(SCHEMA_VERSION));
        client.batch_execute(&statement).await.map_err(refused).with_context(|| call.clone())?;
        let plans = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        explained.push(Explained { call, plans });
    }
    Ok(explained)
}

/// Every function that components call, once for each way through it that matters.
fn calls() -> Vec<String> {
    let moved = r#"[{"id":7,"password_old":"x","password":"z","mfa_old":"y","mfa":"y","state":"active","operator_touched":false,"disabled":false,"standing_binding":"b"}]"#;
    vec![
        "find('n7', 'n7', 'place', 's1', 's2', 's3')".to_owned(),
        "find('nobody', 'nobody', 'place', 's1', 's2', 's3')".to_owned(),
        "find_session(7, '1', 'session')".to_owned(),
        "read_activity(7, 'ac7db', 20)".to_owned(),
        "read_sessions(7, 'ac7db', 0, 100)".to_owned(),
        "read_audit('proof', 'n7', NULL, 50)".to_owned(),
        "read_audit('proof', NULL, 50000, 500)".to_owned(),
        "find_stale('proof', 'k1', 0, 0, 50, 10000)".to_owned(),
        "find_stale('proof', 'k2', 0, 0, 50, 10000)".to_owned(),
        "read_health()".to_owned(),
        format!("create_account({ATTEMPT}, {LIMITS}, 'new', 'x', 'k1', 'b', 'b', 'provisional', 'generation', FALSE, 'b', FALSE, 'p', '')")
            .replace("'n7'", "'new'"),
        format!("replace_password({ATTEMPT}, {SEEN}, {LIMITS}, {CHANGE}, 'z', 'b', 'b', TRUE)"),
        format!("replace_second_factor({ATTEMPT}, {SEEN}, {LIMITS}, {CHANGE}, 'z', 'b', FALSE)"),
        format!("complete_login({ATTEMPT}, {SEEN}, {LIMITS}, {LOGIN}, 'active', 'k1', 'b', 'place', 'session')"),
        "complete_usual_login('login', '192.0.2.1', 'agent', 1000, 7, (SELECT xmin::text FROM public.users_v2 WHERE id = 7), 30, 's2', 30, 300, 's3', '', 'place', '{}')".to_owned(),
        format!("mark_expired({ATTEMPT}, {SEEN}, {LIMITS}, {LOGIN}, NULL)"),
        format!("note_factor({ATTEMPT}, {SEEN}, {LIMITS}, FALSE)"),
        format!("refuse({ATTEMPT}, {LIMITS}, 'wrong_code', TRUE, TRUE, 30, 20)"),
        format!("refuse_locked({ATTEMPT}, 's3', 'account')"),
        "roll_up_attempts(1000)".to_owned(),
        "read_metrics(1000)".to_owned(),
        "find_names('proof', 1000, 100)".to_owned(),
        "mask_names('proof', 1000, '[]')".to_owned(),
        format!("maintain({ATTEMPT}, {LIMITS}, 'proof', 90, 400, 1000)"),
        format!("remove_accounts({ATTEMPT}, 'proof', 100)"),
        "keep_partitions('proof', 1000, 90, 400)".to_owned(),
        "count_accounts('proof', 1000, 15768000)".to_owned(),
        format!("renew_session({ATTEMPT}, 0, 'session')"),
        format!("end_session({ATTEMPT}, 0, 'session', 50000)"),
        format!("end_sessions({ATTEMPT}, 0, 'session')"),
        format!("cancel_second_factor({ATTEMPT}, 0, 'session')"),
        format!("administer({ATTEMPT}, {LIMITS}, 'proof', 's3', FALSE, 'k1', 'b', 0, 'active', '')").replace("'login'", "'account_unlocked'"),
        format!("note_audit_read({ATTEMPT}, {LIMITS}, 'proof')"),
        format!("free_address({ATTEMPT}, {LIMITS}, 'proof', '192.0.2.1', 's1', 's2', 's4')"),
        format!("move_secrets({ATTEMPT}, {LIMITS}, 'proof', '{moved}', '[]', 'k2', FALSE)"),
        format!("move_secrets({ATTEMPT}, {LIMITS}, 'proof', '[]', '[]', 'k1', TRUE)"),
    ]
}
