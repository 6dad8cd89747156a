//! `POST /function/generate-password`: replaces an account's password, which the answer shows.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::issue_password;
use cofrap_api::generate_password::{Request, Response, refuse};
use cofrap_api::routes::GENERATE_PASSWORD;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &GENERATE_PASSWORD, |env, issue| {
        issue_password(env, &issue).map(Response::from).map_err(|error| refuse(error, &issue))
    })
    .await;
}
