//! `read_metrics`: the metrics for a monitoring system.

use crate::operations::env::{Clock, Env};
use crate::store::error::StoreError;
use crate::store::interface::ObservationStore;
use crate::store::metrics::Metrics;
use crate::types::bearer::Bearer;
use crate::types::keys::MetricsKeys;
use rand_core::CryptoRng;

/// Why the metrics are refused.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// No token is configured, or the caller showed another one. The answer is the same.
    #[error("there are no metrics without the token")]
    NotOffered,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How many audit rows a request adds to the totals before it reads them. Further ones are counted while reading.
const ROLLED_UP: i64 = 50_000;

/// Reads the metrics.
///
/// # Errors
/// See [`MetricsError`].
pub fn read_metrics(
    env: &mut Env<impl ObservationStore, impl Clock, impl CryptoRng, MetricsKeys>,
    bearer: &Bearer,
) -> Result<Metrics, MetricsError> {
    let token = env.context.keys.token.as_ref().ok_or(MetricsError::NotOffered)?;
    if !bearer.token().is_some_and(|shown| token.matches(shown)) {
        return Err(MetricsError::NotOffered);
    }
    env.store.roll_up_attempts(ROLLED_UP)?;
    Ok(env.store.read_metrics(env.clock.now())?)
}
