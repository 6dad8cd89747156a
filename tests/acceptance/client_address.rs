//! Whose address counts: the platform's word, and the trusted proxies'.

use cofrap_tests::{Settings, TestApp};
use http::Request;
use http_body_util::Full;

async fn audited(hops: &str, forwarded: &[&str]) -> String {
    let app = TestApp::start_with(Settings::variable("trusted_proxy_hops", hops)).await;
    let request = Request::post(app.url("/function/authenticate-user-v2"))
        .header("content-type", "application/json")
        .header("spin-client-addr", "198.51.100.66:1")
        .header("forwarded", "for=198.51.100.67")
        .header("x-real-ip", "198.51.100.68");
    let request = forwarded.iter().fold(request, |request, value| request.header("x-forwarded-for", *value));
    let body = r#"{"username":"nobody","password":"x"}"#;
    app.send(request.body(Full::from(body)).unwrap()).await.problem(401, "invalid_credentials");
    let address = app.database.text("SELECT host(ip_address) FROM auth_logs_v2").await;
    // The log says the same.
    assert!(app.log().contains(&format!(r#""client":"{address}""#)), "{address}: {}", app.log());
    address
}

#[tokio::test]
async fn the_forwarded_address_counts_only_through_trusted_hops_and_a_forged_one_never_reaches_the_audit() {
    assert_eq!(audited("0", &["203.0.113.7"]).await, "127.0.0.1");
    assert_eq!(audited("1", &["198.51.100.1, 203.0.113.7"]).await, "203.0.113.7");
    assert_eq!(audited("1", &["198.51.100.1", "203.0.113.7"]).await, "203.0.113.7");
    assert_eq!(audited("2", &["198.51.100.1, 203.0.113.7, 10.0.0.1"]).await, "203.0.113.7");
    assert_eq!(audited("2", &["203.0.113.7"]).await, "127.0.0.1");
    assert_eq!(audited("1", &["nonsense"]).await, "127.0.0.1");
}

#[tokio::test]
async fn an_ipv6_address_is_whole_in_the_audit() {
    assert_eq!(audited("1", &["2001:db8::1:2"]).await, "2001:db8::1:2");
    assert_eq!(audited("1", &["[2001:db8::1:2]:443"]).await, "2001:db8::1:2");
    assert_eq!(audited("1", &["::ffff:203.0.113.7"]).await, "203.0.113.7");
}
