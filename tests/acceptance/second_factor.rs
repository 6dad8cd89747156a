//! `DELETE /function/second-factor`: dropping a second factor that waits.

use cofrap_tests::TestApp;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_second_factor_that_waits_is_said_and_dropped_by_a_recent_login() {
    let app = TestApp::start().await;
    let path = "/function/second-factor";
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let uri = app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await.ok().read_qr_code();
    let until = app.clock.now() + 3600;
    assert_eq!(app.session(&session).await.ok().0["pending_second_factor_until"], until);
    let mut new = michel.with_second_factor(&uri);
    let answer = michel.log_in().await.ok().0;
    assert_eq!((&answer["second_factor"], &answer["pending_second_factor_until"]), (&json!("current"), &json!(until)));
    app.clock.advance(301);
    app.request_as(&session, Method::DELETE, path).await.problem(403, "proof_required");
    let session = michel.session().await;
    assert_eq!(app.request_as(&session, Method::DELETE, path).await.ok().0["cancelled"], true);
    assert_eq!(app.request_as(&session, Method::DELETE, path).await.ok().0["cancelled"], false);
    let current = app.session(&session).await.ok().0;
    assert_eq!(current.get("pending_second_factor_until"), None);
    new.log_in().await.problem(401, "invalid_credentials");
    let row = "SELECT count(*) FROM auth_logs_v2 WHERE action = '2fa_cancelled' AND success";
    assert_eq!(app.database.count(row).await, 2);

    let session = michel.session().await;
    let uri = app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await.ok().read_qr_code();
    michel.scan(&uri);
    let answer = michel.log_in().await.ok().0;
    assert_eq!((&answer["second_factor"], answer.get("pending_second_factor_until")), (&json!("new"), None));
}
