//! `GET /function/audit-log`: what was attempted, for the operator.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::read_audit;
use cofrap_api::audit_log::{Request, Response};
use cofrap_api::routes::AUDIT_LOG;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &AUDIT_LOG, |env, command| {
        let entries = read_audit(env, &command)?;
        Ok(Response::from(entries))
    })
    .await;
}
