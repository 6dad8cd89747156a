//! What health and metrics read.

use super::account::{list, stored_keys};
use cofrap_accounts::{AccountGauges, AttemptCount, HealthSnapshot, Metrics, SequenceUse, StoreError, UnixTime};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What `read_health.sql` answers.
#[derive(Deserialize)]
pub(in crate::pg_store) struct HealthRow {
    registered_keys: Option<String>,
    foreign_tokens: Option<String>,
    weak_sequences: Option<String>,
    takes_writes: bool,
    is_here: bool,
}

impl HealthRow {
    pub(in crate::pg_store) fn read(self, schemas: Vec<String>) -> Result<HealthSnapshot, StoreError> {
        if !self.is_here {
            return Err(StoreError::Restored);
        }
        let keys = stored_keys(self.registered_keys, self.foreign_tokens);
        let (weak_sequences, takes_writes) = (list(self.weak_sequences), self.takes_writes);
        Ok(HealthSnapshot { schemas, keys: Some(keys), weak_sequences, takes_writes })
    }
}

/// What `read_metrics.sql` answers.
#[derive(Deserialize)]
pub(in crate::pg_store) struct MetricsRow {
    attempts: Vec<AttemptsRow>,
    sequences: Vec<SequenceRow>,
    audit_rows: i64,
    audit_bytes: i64,
    database_bytes: i64,
    uncounted_transactions: i64,
    clock_offset: f64,
    connections: i64,
    connections_limit: i64,
    gauges: Option<BTreeMap<String, BTreeMap<String, i64>>>,
    gauges_at: Option<i64>,
}

#[derive(Deserialize)]
struct AttemptsRow {
    action: String,
    route: String,
    success: bool,
    reason: String,
    locks: String,
    total: u64,
}

#[derive(Deserialize)]
struct SequenceRow {
    table: String,
    last: i64,
    largest: i64,
}

impl MetricsRow {
    pub(in crate::pg_store) fn read(self) -> Metrics {
        let attempts = self.attempts.into_iter().map(|row| AttemptCount {
            action: row.action,
            route: row.route,
            success: row.success,
            reason: row.reason,
            // Other programs may have written anything.
            locks: serde_json::from_str(&row.locks).unwrap_or_default(),
            total: row.total,
        });
        let sequences = self.sequences.into_iter().map(|row| SequenceUse {
            table: row.table,
            last: row.last,
            largest: row.largest,
        });
        Metrics {
            attempts: attempts.collect(),
            sequences: sequences.collect(),
            audit_rows: self.audit_rows,
            audit_bytes: self.audit_bytes,
            database_bytes: self.database_bytes,
            uncounted_transactions: self.uncounted_transactions,
            clock_offset: self.clock_offset,
            connections: self.connections,
            connections_limit: self.connections_limit,
            accounts: self
                .gauges
                .zip(self.gauges_at)
                .map(|(groups, at)| AccountGauges { at: UnixTime::from_seconds(at), groups }),
        }
    }
}
