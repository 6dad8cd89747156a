//! `GET /function/sessions`: the bearer's sessions that may still hold.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::read_sessions;
use cofrap_api::routes::SESSIONS;
use cofrap_api::sessions::{Request, Response};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &SESSIONS, |env, bearer| {
        let sessions = read_sessions(env, &bearer)?;
        Ok(Response::from(sessions))
    })
    .await;
}
