//! Every other path under `/function/` and `/f/`: what a caller can rely on.

use cofrap_tests::TestApp;
use http::Method;

#[tokio::test]
async fn an_unknown_function_is_the_contract_s_404_whatever_is_asked() {
    let app = TestApp::start().await;
    for path in [
        "/function/nothing",
        "/f/nothing",
        "/function/",
        "/f/generate-password-v2/more",
        "/function/Generate-Password-V2",
    ] {
        let answer = app.request(Method::GET, path).await;
        assert_eq!(answer.problem(404, "not_found")["error"], "Fonction inconnue", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        app.post(path, "text/plain", "not json").await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_large_body_is_read_to_its_end_before_the_refusal() {
    let app = TestApp::start().await;
    app.post("/function/nothing", "application/json", vec![b' '; 1024 * 1024]).await.problem(404, "not_found");
}

/// The platform does not count slashes at the beginning; what stands before it and closes a path may.
#[tokio::test]
async fn a_path_that_begins_with_two_slashes_is_no_function_s() {
    let app = TestApp::start().await;
    for path in ["//function/health", "//function/administer-account", "///f/audit-log", "//.well-known/jwks.json"] {
        let request = http::Request::get(app.url(path)).body(http_body_util::Full::default()).unwrap();
        assert_eq!(app.fetch(request).await.0.status, 404, "{path}");
    }
}
