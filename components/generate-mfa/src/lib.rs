//! `POST /function/generate-2fa`: gives an account the secret of its one-time codes.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::issue_second_factor;
use cofrap_api::generate_mfa::{Request, Response, refuse};
use cofrap_api::routes::GENERATE_MFA;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &GENERATE_MFA, |env, issue| {
        let issued = issue_second_factor(env, &issue).map_err(refuse)?;
        Response::draw(&issued)
    })
    .await;
}
