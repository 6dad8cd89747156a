//! `GET /openapi.json`: this contract, as an OpenAPI 3.1 document. It is generated, kept in the repository, and compared.

/// The methods that it has.
pub const METHODS: &[&str] = &["GET"];

/// The document as it ships.
pub const DOCUMENT: &str = include_str!("../openapi.json");
