//! What the rules ask of a database: one method per statement, and the rows that it takes and returns. Imports `types`, `limits`, `verify`.

pub(crate) mod accounts;
pub(crate) mod attempt;
pub(crate) mod error;
pub(crate) mod interface;
pub(crate) mod maintenance;
pub(crate) mod metrics;
pub(crate) mod rotation;
pub(crate) mod snapshot;
