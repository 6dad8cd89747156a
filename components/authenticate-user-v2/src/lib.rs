//! `POST /function/authenticate-user-v2`: checks a password and a one-time code together.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::authenticate;
use cofrap_api::Reply;
use cofrap_api::authenticate_user_v2::Request;
use cofrap_api::routes::AUTHENTICATE_USER_V2;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &AUTHENTICATE_USER_V2, |env, login| {
        let logged_in = authenticate(env, &login)?;
        Ok(Reply::from(logged_in))
    })
    .await;
}
