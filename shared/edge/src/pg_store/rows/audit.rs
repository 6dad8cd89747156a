//! Rows of the audit, and what maintenance did to them.

use cofrap_accounts::{AuditEntry, MaintenanceBatch, NamedEntry, OpenSession, Partitions, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A row of the audit as `entry_as_json.sql` writes it.
#[derive(Deserialize)]
pub(in crate::pg_store) struct EntryRow {
    id: i64,
    at: i64,
    action: String,
    username: Option<String>,
    user_id: Option<i64>,
    address: Option<String>,
    user_agent: Option<String>,
    success: bool,
    reason: Option<String>,
    proof: Option<String>,
    route: Option<String>,
    attempts: Option<i64>,
    names: Option<Vec<String>>,
    more_names: Option<i64>,
}

impl EntryRow {
    pub(in crate::pg_store) fn read(self) -> AuditEntry {
        AuditEntry {
            id: self.id,
            at: UnixTime::from_seconds(self.at),
            action: self.action,
            username: self.username,
            user_id: self.user_id,
            address: self.address,
            user_agent: self.user_agent,
            success: self.success,
            reason: self.reason,
            proof: self.proof,
            route: self.route,
            attempts: self.attempts,
            names: self.names,
            more_names: self.more_names,
        }
    }
}

/// An element of what `read_sessions.sql` answers.
#[derive(Deserialize)]
pub(in crate::pg_store) struct OpenSessionRow {
    id: String,
    at: i64,
    address: Option<String>,
    user_agent: Option<String>,
}

impl OpenSessionRow {
    pub(in crate::pg_store) fn read(self) -> Option<OpenSession> {
        Some(OpenSession {
            session: u128::from_str_radix(&self.id, 16).ok()?.to_be_bytes(),
            at: UnixTime::from_seconds(self.at),
            address: self.address,
            user_agent: self.user_agent,
        })
    }
}

/// What `maintain.sql` has done.
#[derive(Deserialize)]
pub(in crate::pg_store) struct MaintenanceRow {
    locked_minutes: i64,
    counted: i64,
    refusals: i64,
    actions: i64,
    counters: i64,
    sessions: i64,
    clocks_differ: bool,
    more: bool,
}

/// What `keep_partitions.sql` has done.
#[derive(Deserialize)]
pub(in crate::pg_store) struct PartitionsRow {
    made: Vec<String>,
    dropped: Vec<String>,
    busy: Vec<String>,
}

impl MaintenanceRow {
    pub(in crate::pg_store) fn read(self) -> MaintenanceBatch {
        MaintenanceBatch {
            locked_minutes: self.locked_minutes,
            counted: self.counted,
            refusals: self.refusals,
            actions: self.actions,
            counters: self.counters,
            sessions: self.sessions,
            clocks_differ: self.clocks_differ,
            has_more: self.more,
        }
    }
}

impl PartitionsRow {
    pub(in crate::pg_store) fn read(self) -> Partitions {
        Partitions { made: self.made, dropped: self.dropped, busy: self.busy }
    }
}

/// A row of the audit with names, as `find_names.sql` writes it and `mask_names.sql` reads it.
#[derive(Deserialize, Serialize)]
pub(in crate::pg_store) struct NamesRow {
    pub(in crate::pg_store) id: i64,
    pub(in crate::pg_store) username: Option<String>,
    #[serde(default, skip_serializing)]
    pub(in crate::pg_store) known: bool,
    pub(in crate::pg_store) names: Option<BTreeMap<String, bool>>,
}

impl NamesRow {
    pub(in crate::pg_store) fn read(self) -> NamedEntry {
        NamedEntry {
            id: self.id,
            username: self.username,
            is_known: self.known,
            names: self.names.map(|names| names.into_iter().collect()),
        }
    }
}
