//! `/function/session`: who bears a session, making it last, ending all of the account.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::session;
use cofrap_api::Reply;
use cofrap_api::routes::SESSION;
use cofrap_api::session::Request;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &SESSION, |env, (bearer, asked)| {
        let answer = session(env, &bearer, asked)?;
        Ok(Reply::from(answer))
    })
    .await;
}
