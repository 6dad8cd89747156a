//! `GET /function/activity`: the last attempts on the bearer's own account.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::read_activity;
use cofrap_api::activity::{Request, Response};
use cofrap_api::routes::ACTIVITY;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &ACTIVITY, |env, bearer| {
        let entries = read_activity(env, &bearer)?;
        Ok(Response::from(entries))
    })
    .await;
}
