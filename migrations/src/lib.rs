//! Brings a database to the schema that the functions expect, for `cargo xtask up`, the tests and the cluster.
//!
//! The numbered files in `sql` are applied in order, each in a transaction of its own. An applied file never changes: refinery
//! compares it with what it was then. The functions in `sql/functions` are made in a schema of the latest number; a changed function
//! is a new number, if only with a file that says what changed.

#![forbid(unsafe_code)]

mod after_restore;
mod audit_table;
mod error;
mod explain;
mod functions;
mod index;
mod known;
mod lock;
mod patience;
mod roles;
mod runner;
mod sameness_keys;
mod sequences;
mod shape;
mod version;

pub use after_restore::{Lost, Treated, after_restore, is_here, read_export};
pub use error::refused;
pub use explain::{Explained, explain};
pub use functions::{retirable, retire};
pub use known::{know_operator, stored_keys};
pub use lock::with_lock;
pub use roles::{FORMER_ROLE, admit, functions_login, let_functions_log_in, login_of, set_session_defaults};
pub use runner::{Report, migrate, migrate_tables_to, pending};
pub use sequences::catch_up as catch_up_sequences;
pub use version::{SCHEMA_VERSION, schema_of};

#[cfg(test)]
mod tests {
    /// Add a line for a new file; never change one.
    const APPLIED: [(&str, u64); 10] = [
        ("V1__seed_tables", 8_644_451_391_404_159_628),
        ("V2__account_lifecycle", 505_755_662_921_762_620),
        ("V3__account_protection", 14_311_938_151_030_738_866),
        ("V4__first_generation", 17_918_633_554_197_134_543),
        ("V5__database_functions", 34_985_181_221_577_860),
        ("V6__identities", 16_720_485_478_031_548_068),
        ("V7__proofs", 6_800_207_749_349_596_012),
        ("V8__restored", 3_714_703_250_600_800_533),
        ("V9__audit_partitions", 3_443_212_397_924_251_196),
        ("V10__fewer_writes", 9_596_145_243_712_514_347),
    ];

    /// The functions of the current version. Another fingerprint needs another version: add a numbered file, if only to say what
    /// changed, and put both here.
    const FUNCTIONS: (i64, &str) = (10, "77fc393f126310b1b155955dce71de943378cfe80d217d4094a509e30b8680f5");

    #[test]
    fn changed_functions_have_another_version() {
        assert_eq!((super::SCHEMA_VERSION, super::functions::fingerprint().as_str()), FUNCTIONS);
    }

    #[test]
    fn an_applied_file_never_changes() {
        let runner = super::runner::sql::migrations::runner();
        let mut files: Vec<_> =
            runner.get_migrations().iter().map(|file| (file.version(), file.to_string(), file.checksum())).collect();
        files.sort();
        let files: Vec<_> = files.into_iter().map(|(_, name, checksum)| (name, checksum)).collect();
        assert_eq!(files, APPLIED.map(|(name, checksum)| (name.to_owned(), checksum)));
    }
}
