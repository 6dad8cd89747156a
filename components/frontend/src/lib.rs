//! The web interface: pages in two languages and what they are made of, put together by `build.rs`.

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_api::frontend::{Asset, CachePolicy, Content, Page, Site};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

static SITE: Site = include!(concat!(env!("OUT_DIR"), "/site.rs"));

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve_site(request, out, &SITE).await;
}
