//! `GET /openapi.json`: this contract, as an `OpenAPI` 3.1 document. `cargo xtask openapi` writes it from the types of this
//! crate; a test compares.

/// The document as it ships.
pub const DOCUMENT: &str = include_str!("../openapi.json");

#[cfg(feature = "openapi")]
mod generate;
#[cfg(feature = "openapi")]
pub use generate::{document, page};
