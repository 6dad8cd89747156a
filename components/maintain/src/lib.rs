//! `POST /function/maintain`: a batch of what the database needs from time to time.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::maintain;
use cofrap_api::maintain::{Request, Response};
use cofrap_api::routes::MAINTAIN;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &MAINTAIN, |env, command| {
        let maintained = maintain(env, &command)?;
        Ok(Response::from(maintained))
    })
    .await;
}
