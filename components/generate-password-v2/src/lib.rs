//! `POST /function/generate-password-v2`: gives an account a fresh password, shown once, as a QR code.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::issue_password;
use cofrap_api::generate_password_v2::{Request, Response};
use cofrap_api::routes::GENERATE_PASSWORD_V2;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &GENERATE_PASSWORD_V2, |env, issue| {
        let issued = issue_password(env, &issue)?;
        Response::draw(&issued)
    })
    .await;
}
