//! `GET /.well-known/jwks.json`: the public keys of sessions.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve_key_set(request, out).await;
}
