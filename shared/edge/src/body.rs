//! Reading a body without keeping more of it than the contract allows.

use crate::headers::RequestHeaders;
use spin_sdk::http::IncomingRequest;
use wasi::io::streams::StreamError;
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

/// Reads the body of a request with these headers.
pub(crate) fn read(request: &IncomingRequest, headers: &RequestHeaders) -> Body {
    let declared_length: Option<usize> = headers.first("content-length").and_then(|length| length.parse().ok());
    if declared_length.is_some_and(|length| length > LIMIT) {
        return Body::TooLarge;
    }
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    // Most bodies are one piece. Pieces that are joined are copied and wiped; one that grew would leave copies behind.
    let mut pieces: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    let mut read = 0;
    loop {
        match stream.blocking_read(LIMIT as u64) {
            Ok(piece) => {
                let piece = Zeroizing::new(piece);
                read += piece.len();
                if read > DRAIN_LIMIT {
                    break;
                }
                if read <= LIMIT && !piece.is_empty() {
                    pieces.push(piece);
                }
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Body::Broken,
        }
    }
    if read > LIMIT { Body::TooLarge } else { Body::Whole(joined(pieces)) }
}

fn joined(mut pieces: Vec<Zeroizing<Vec<u8>>>) -> Zeroizing<Vec<u8>> {
    if pieces.len() < 2 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum()));
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_in_their_order() {
        for (pieces, whole) in [(&[][..], ""), (&["ab"], "ab"), (&["a", "", "bc"], "abc")] {
            let pieces = pieces.iter().map(|piece| Zeroizing::new(piece.as_bytes().to_vec())).collect();
            assert_eq!(joined(pieces).as_slice(), whole.as_bytes());
        }
    }
}
