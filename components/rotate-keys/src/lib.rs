//! `POST /function/rotate-keys`: seals a batch of stored secrets again, under the first key of the list.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::rotate_keys;
use cofrap_api::rotate_keys::{Request, Response};
use cofrap_api::routes::ROTATE_KEYS;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &ROTATE_KEYS, |env, command| {
        let rotated = rotate_keys(env, &command)?;
        Ok(Response::from(rotated))
    })
    .await;
}
