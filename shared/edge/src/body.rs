//! Reading a body without keeping more of it than the contract allows.

use crate::headers::values;
use futures_util::StreamExt;
use spin_sdk::http::IncomingRequest;
use zeroize::Zeroizing;

/// The most bytes of a body.
const LIMIT: usize = 16 * 1024;

/// Bytes that are read and thrown away, so that the client sees the refusal rather than a closed connection. Whoever sends more may see that.
const DRAIN_LIMIT: usize = 1024 * 1024;

/// A body.
pub(crate) enum Body {
    Whole(Zeroizing<Vec<u8>>),
    TooLarge,
    /// The connection broke before the body's end. What arrived must not be used.
    Broken,
}

/// `Content-Length`, where it says a number.
fn declared_length(request: &IncomingRequest) -> Option<usize> {
    values(&request.headers(), "content-length").first()?.parse().ok()
}

pub(crate) async fn read(request: IncomingRequest) -> Body {
    if declared_length(&request).is_some_and(|length| length > LIMIT) {
        return Body::TooLarge;
    }
    let mut stream = Box::pin(request.into_body_stream());
    // It never grows: a copy left behind would not be wiped.
    let mut kept = Zeroizing::new(Vec::with_capacity(LIMIT));
    let mut read = 0;
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else { return Body::Broken };
        read += chunk.len();
        if read <= LIMIT {
            kept.extend_from_slice(&chunk);
        } else if read > DRAIN_LIMIT {
            break;
        }
    }
    if read <= LIMIT { Body::Whole(kept) } else { Body::TooLarge }
}
