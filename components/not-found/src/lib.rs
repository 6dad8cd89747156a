//! Every path under `/function/` and `/f/` that no function has: the contract's 404.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve_not_found(request, out).await;
}
