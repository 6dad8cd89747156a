//! Maintenance.

use super::calls::{CountAccounts, FindNames, KeepPartitions, Maintain, MaskNames, RemoveAccounts};
use super::client::{Link, PgStore};
use super::parameters::{Noted, masked_names};
use super::rows::{Admitted, MaintenanceRow, NamesRow, PartitionsRow};
use cofrap_accounts::{
    Age, Attempt, MaintenanceBatch, MaintenanceStore, NamedEntry, OperatorProof, Partitions, Retention, Saved,
    StoreError, UnixTime,
};

impl<L: Link> MaintenanceStore for PgStore<L> {
    fn maintain(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        retention: Retention,
        rows: i64,
    ) -> Result<Saved<MaintenanceBatch>, StoreError> {
        let noted = Noted::of(attempt, None);
        let call = Maintain {
            attempt: noted.attempt(),
            limits: noted.limits(),
            operator_proof: operator.as_str(),
            refusals_days: retention.refusals_days,
            actions_days: retention.actions_days,
            max_rows: rows,
        };
        self.attempt(&noted, call, MaintenanceRow::read)
    }

    fn remove_accounts(
        &mut self,
        attempt: &Attempt<'_>,
        operator: &OperatorProof,
        count: usize,
    ) -> Result<Vec<String>, StoreError> {
        let noted = Noted::of(attempt, None);
        let removed: Admitted<Vec<String>> = self.call(RemoveAccounts {
            attempt: noted.attempt(),
            operator_proof: operator.as_str(),
            max_rows: i64::try_from(count).unwrap_or(i64::MAX),
        })?;
        removed.answer()
    }

    fn keep_partitions(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        retention: Retention,
    ) -> Result<Partitions, StoreError> {
        let row: Admitted<PartitionsRow> = self.call(KeepPartitions {
            operator_proof: operator.as_str(),
            moment: now.seconds(),
            refusals_days: retention.refusals_days,
            actions_days: retention.actions_days,
        })?;
        row.answer().map(PartitionsRow::read)
    }

    fn find_names(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        rows: i64,
    ) -> Result<Vec<NamedEntry>, StoreError> {
        let operator_proof = operator.as_str();
        let rows: Admitted<Vec<NamesRow>> =
            self.call(FindNames { operator_proof, moment: now.seconds(), max_rows: rows })?;
        Ok(rows.answer()?.into_iter().map(NamesRow::read).collect())
    }

    fn mask_names(
        &mut self,
        operator: &OperatorProof,
        now: UnixTime,
        masked: &[NamedEntry],
    ) -> Result<i64, StoreError> {
        let (operator_proof, masked) = (operator.as_str(), masked_names(masked));
        let changed: Admitted<i64> = self.call(MaskNames { operator_proof, moment: now.seconds(), masked: &masked })?;
        changed.answer()
    }

    fn count_accounts(&mut self, operator: &OperatorProof, now: UnixTime, max_age: Age) -> Result<(), StoreError> {
        let (operator_proof, moment) = (operator.as_str(), now.seconds());
        let max_age = i64::try_from(max_age.seconds()).unwrap_or(i64::MAX);
        let counted: Admitted<()> = self.call(CountAccounts { operator_proof, moment, max_age })?;
        counted.answer()
    }
}
