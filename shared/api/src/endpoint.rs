//! What a route takes and gives.

use crate::{Code, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request body that becomes a command of the domain.
pub trait Endpoint: DeserializeOwned {
    /// What the domain is asked.
    type Command;

    /// What is answered on success.
    type Response: Serialize;

    /// Reads every field.
    ///
    /// # Errors
    /// The [`Problem`] of the first field that is absent or ill-formed, which names it.
    fn into_command(self) -> Result<Self::Command, Problem>;
}

/// Reads a body: UTF-8, one JSON object, its known fields at most once; unknown fields are ignored.
///
/// # Errors
/// [`Code::InvalidJson`], or what [`Endpoint::into_command`] finds.
pub fn parse_body<E: Endpoint>(body: &[u8]) -> Result<E::Command, Problem> {
    let invalid = || Problem::new(Code::InvalidJson);
    let text = str::from_utf8(body).map_err(|_| invalid())?;
    // Serde fills a struct from an array as well; the contract wants an object.
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Err(invalid());
    }
    serde_json::from_str::<E>(text).map_err(|_| invalid())?.into_command()
}
