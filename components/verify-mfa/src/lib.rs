//! `POST /function/verify-2fa`: checks a code; with a challenge, that completes a login.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::verify_code;
use cofrap_api::Reply;
use cofrap_api::routes::VERIFY_MFA;
use cofrap_api::verify_mfa::{Request, refuse};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &VERIFY_MFA, |env, verify| {
        verify_code(env, &verify).map(Reply::from).map_err(refuse)
    })
    .await;
}
