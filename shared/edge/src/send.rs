//! Sends an answer.

use spin_sdk::http::{OutgoingResponse, ResponseOutparam};
use spin_sdk::wit::wasi::http0_2_0::types::OutgoingBody;

/// Sends a response with its body.
///
/// The body is handed over before the head is announced. The other way round, the platform's connection may write the head while
/// the body is still on its way: two segments on a socket without `TCP_NODELAY`, of which the second waits for the client's
/// delayed acknowledgement, up to 40 ms. The platform takes 1 MiB before the head; what is longer follows it.
pub(crate) fn send_response(out: ResponseOutparam, response: OutgoingResponse, body: &[u8]) {
    let handle = response.body().expect("the body is taken once");
    let stream = handle.write().expect("the stream is taken once");
    let budget = stream.check_write().unwrap_or(0);
    let (before, after) = body.split_at(body.len().min(usize::try_from(budget).unwrap_or(usize::MAX)));
    // If writing fails, the client is gone.
    let _ = stream.write(before);
    if after.is_empty() {
        drop(stream);
        let _ = OutgoingBody::finish(handle, None);
        out.set(response);
    } else {
        out.set(response);
        // Bytes that one call takes: wasi:io 0.2, `blocking-write-and-flush`.
        let _ = after.chunks(4096).try_for_each(|chunk| stream.blocking_write_and_flush(chunk));
        drop(stream);
        let _ = OutgoingBody::finish(handle, None);
    }
}
