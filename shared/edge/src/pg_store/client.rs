//! The connection to the database, and how a function of the database is called.

use super::calls::Call;
use super::errors::{failed, is_broken, is_outcome_unknown};
use super::parameters::Noted;
use super::rows::{CountersRow, Outcome};
use crate::trace::timed;
use cofrap_accounts::{Reason, Saved, StoreError};
use serde::de::DeserializeOwned;
use spin_sdk::pg4::{Connection, DbValue, ParameterValue, PgError};
use std::cell::RefCell;
use zeroize::Zeroizing;

thread_local! {
    /// The instance's connection. An instance serves one request, on one thread.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Returns the connection to the platform's pool; the next statement takes another.
pub(crate) fn release_connection() {
    CONNECTION.take();
}

/// A way to send a statement to the database.
pub trait Link {
    /// Sends a statement, and returns the one text of its one row.
    ///
    /// # Errors
    /// Those of the platform.
    fn ask(&self, text: &'static str, parameters: &[ParameterValue]) -> Result<String, PgError>;
}

/// A connection of the platform's pool, taken at the first call.
pub struct PlatformLink {
    address: Zeroizing<String>,
}

impl Link for PlatformLink {
    fn ask(&self, text: &'static str, parameters: &[ParameterValue]) -> Result<String, PgError> {
        let connection = match CONNECTION.take() {
            Some(connection) => connection,
            // Connections come back within seconds: see `idle_session_timeout`.
            None => Connection::open(&self.address).or_else(|_| Connection::open(&self.address))?,
        };
        let answer = timed(|| connection.query(text, parameters))?;
        CONNECTION.set(Some(connection));
        Ok(match answer.rows.into_iter().next().and_then(|row| row.into_iter().next()) {
            Some(DbValue::Str(text)) => text,
            _ => String::new(),
        })
    }
}

/// The database. Each call is one transaction.
pub struct PgStore<L = PlatformLink> {
    pub(super) link: L,
}

impl PgStore {
    /// The database at an address.
    #[must_use]
    pub const fn at(address: Zeroizing<String>) -> Self {
        Self::over(PlatformLink { address })
    }
}

impl<L: Link> PgStore<L> {
    /// The database behind a link.
    #[must_use]
    pub const fn over(link: L) -> Self {
        Self { link }
    }

    /// Calls a function, and parses its answer.
    pub(super) fn call<C: Call, T: DeserializeOwned>(&self, call: C) -> Result<T, StoreError> {
        let parameters = call.parameters();
        let answer = self.link.ask(C::TEXT, &parameters).or_else(|error| {
            if C::IS_READ_ONLY && is_broken(&error) { self.link.ask(C::TEXT, &parameters) } else { Err(error) }
        });
        let answer = answer.map_err(|error| {
            let is_unknown = !C::IS_READ_ONLY && is_outcome_unknown(&error);
            let error = failed(error);
            if is_unknown { StoreError::OutcomeUnknown(error.to_string()) } else { error }
        })?;
        // The parser's error would show what is stored.
        let read = serde_json::from_str(&answer);
        read.map_err(|_| {
            let error = StoreError::CorruptAnswer(C::NAME);
            if C::IS_READ_ONLY { error } else { StoreError::OutcomeUnknown(error.to_string()) }
        })
    }

    /// Calls a function that records an attempt. Its result goes to the log too.
    pub(super) fn attempt<C: Call, T: DeserializeOwned, U>(
        &self,
        noted: &Noted<'_>,
        call: C,
        read: impl FnOnce(T) -> U,
    ) -> Result<Saved<U>, StoreError> {
        let saved = self.call(call).and_then(|outcome: Outcome<T>| outcome.saved(read))?;
        let reason = match &saved {
            Saved::Yes(_) => noted.refused_for(),
            Saved::Overtaken => Some(Reason::Overtaken),
            Saved::Locked => Some(Reason::TooManyAttempts),
            Saved::SessionEnded => Some(Reason::SessionEnded),
            // The caller tries once more.
            Saved::Resealed => return Ok(saved),
        };
        noted.log(reason);
        Ok(saved)
    }

    /// Calls a function that changes an account.
    pub(super) fn save(&self, noted: &Noted<'_>, call: impl Call) -> Result<Saved, StoreError> {
        self.attempt(noted, call, CountersRow::read)
    }

    /// Calls a function that returns nothing but whether it did its work.
    pub(super) fn note(&self, noted: &Noted<'_>, call: impl Call) -> Result<Saved<()>, StoreError> {
        self.attempt(noted, call, |()| ())
    }
}
