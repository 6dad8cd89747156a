//! `POST /function/create-account-secure`: makes an account with a password that its owner chose.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::create_account;
use cofrap_api::create_account_secure::{Request, Response, refuse};
use cofrap_api::routes::CREATE_ACCOUNT_SECURE;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &CREATE_ACCOUNT_SECURE, |env, wanted| {
        create_account(env, wanted).map(Response::from).map_err(refuse)
    })
    .await;
}
