//! Reading headers.

use spin_sdk::http::Headers;

/// Every value of a header.
pub(crate) fn values(headers: &Headers, name: &str) -> Vec<String> {
    headers.get(name).into_iter().map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

/// The last value of a header. Spin adds its own headers after the client's.
pub(crate) fn last(headers: &Headers, name: &str) -> Option<String> {
    values(headers, name).pop()
}
