//! Metrics and health.

use super::calls::{ReadHealth, ReadMetrics, RollUpAttempts};
use super::client::{Link, PgStore};
use super::errors::failed;
use super::rows::{HealthRow, MetricsRow};
use cofrap_accounts::{HealthSnapshot, Metrics, ObservationStore, StoreError, UnixTime};

/// The schemas of functions that the database has. The one statement that calls no function, because they may be missing.
const SCHEMAS: &str = "/* schemas */ SELECT coalesce(string_agg(nspname, ',' ORDER BY nspname), '') AS schemas
                       FROM pg_catalog.pg_namespace WHERE nspname ~ '^cofrap_[0-9]+$'";

impl<L: Link> ObservationStore for PgStore<L> {
    fn roll_up_attempts(&mut self, rows: i64) -> Result<(), StoreError> {
        self.call(RollUpAttempts { max_rows: rows }).map(|_: i64| ())
    }

    fn read_metrics(&mut self, now: UnixTime) -> Result<Metrics, StoreError> {
        let row: MetricsRow = self.call(ReadMetrics { moment: now.seconds() })?;
        Ok(row.read())
    }

    fn read_health(&mut self) -> Result<HealthSnapshot, StoreError> {
        let schemas = self.link.ask(SCHEMAS, &[]).map_err(failed)?;
        let schemas = schemas.split(',').map(str::to_owned).filter(|schema| !schema.is_empty()).collect();
        match self.call(ReadHealth {}) {
            Ok(row) => HealthRow::read(row, schemas),
            Err(StoreError::SchemaMissing(_)) => {
                Ok(HealthSnapshot { schemas, keys: None, weak_sequences: Vec::new(), takes_writes: true })
            }
            Err(error) => Err(error),
        }
    }
}
