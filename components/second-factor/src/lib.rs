//! `DELETE /function/second-factor`: drops a new second factor that waits for its first code.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::cancel_second_factor;
use cofrap_api::routes::SECOND_FACTOR;
use cofrap_api::second_factor::{Request, Response, refuse};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &SECOND_FACTOR, |env, bearer| {
        let cancelled = cancel_second_factor(env, &bearer).map_err(refuse)?;
        Ok(Response::of(cancelled))
    })
    .await;
}
