//! `GET /openapi.json`: the contract. Every answer of every test here is compared with it.

use cofrap_api::openapi::DOCUMENT;
use cofrap_tests::TestApp;
use http::Method;
use serde_json::Value;

#[tokio::test]
async fn the_document_in_the_repository_is_served() {
    let app = TestApp::start().await;
    let answer = app.request(Method::GET, "/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let served = answer.ok().0;
    assert_eq!(served, serde_json::from_str::<Value>(DOCUMENT).unwrap());
    assert_eq!(served["openapi"], "3.1.0");
    app.request(Method::POST, "/openapi.json").await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn every_route_of_the_manifest_but_the_catch_all_is_in_it() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    for route in cofrap_tests::routes().iter().filter(|route| !route.ends_with("/...")) {
        let path = route.replacen("/f/", "/function/", 1);
        assert!(document["paths"][&path].is_object(), "{route}");
    }
}
