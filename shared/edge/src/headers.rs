//! Reading headers.

use spin_sdk::http::IncomingRequest;
use zeroize::Zeroize;

/// The headers of a request, asked for once: each question to the platform costs as much as a search through all of them here. They are
/// wiped, since some are secrets.
pub(crate) struct RequestHeaders(Vec<(String, Vec<u8>)>);

impl RequestHeaders {
    pub(crate) fn of(request: &IncomingRequest) -> Self {
        Self(request.headers().entries())
    }

    /// Every value of a header.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        self.named(name).collect()
    }

    /// The first value of a header.
    pub(crate) fn first(&self, name: &str) -> Option<String> {
        self.named(name).next()
    }

    /// The last value of a header. Spin adds its own headers after the client's.
    pub(crate) fn last(&self, name: &str) -> Option<String> {
        self.named(name).next_back()
    }

    fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = String> {
        let named = self.0.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

impl Drop for RequestHeaders {
    fn drop(&mut self) {
        for (_, value) in &mut self.0 {
            value.zeroize();
        }
    }
}
