//! `POST /function/administer-account`: what an operator does with an account.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::administer;
use cofrap_api::administer_account::{Request, Response};
use cofrap_api::routes::ADMINISTER_ACCOUNT;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &ADMINISTER_ACCOUNT, |env, command| {
        administer(env, &command)?;
        Ok(Response::of(&command))
    })
    .await;
}
