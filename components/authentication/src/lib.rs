//! `POST /function/authentication`: checks a password, and gives a challenge for the second step.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::begin_login;
use cofrap_api::authentication::{Request, Response, refuse};
use cofrap_api::routes::AUTHENTICATION;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &AUTHENTICATION, |env, login| {
        begin_login(env, &login).map(Response::from).map_err(refuse)
    })
    .await;
}
