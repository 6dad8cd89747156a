//! `GET /function/sessions`: the bearer's sessions that may still hold.

use cofrap_tests::{Settings, TestApp};
use http::Method;

const PATH: &str = "/function/session";

/// An account's sessions as it sees them: for each, whether it is the bearer's.
async fn open_sessions(app: &TestApp, token: &str) -> Vec<bool> {
    let answer = app.request_as(token, Method::GET, "/function/sessions").await.ok().0;
    answer["sessions"].as_array().unwrap().iter().map(|session| session["current"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn the_open_sessions_are_the_complete_logins_of_12_hours_that_were_not_ended() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.active_account("michel.ranu").await;
    let mut other = app.active_account("somebody.else").await;
    let old = michel.session().await;
    app.clock.advance(12 * 3600 + 1);
    app.session(&old).await.problem(401, "invalid_token");
    let (one, two) = (michel.session().await, michel.log_in_by_steps().await.ok().0);
    let two = two["token"].as_str().unwrap();
    app.authenticate("michel.ranu", "wrong", "123456").await.problem(401, "invalid_credentials");
    assert_eq!(open_sessions(&app, &one).await, [false, true]);
    assert_eq!(open_sessions(&app, two).await, [true, false]);
    assert_eq!(open_sessions(&app, &other.session().await).await, [true]);
    app.request_as(&one, Method::DELETE, &format!("{PATH}?this=1")).await.ok();
    assert_eq!(open_sessions(&app, two).await, [true]);
    app.request_as(two, Method::DELETE, PATH).await.ok();
    let new = michel.session().await;
    assert_eq!(open_sessions(&app, &new).await, [true], "what was ended with all others is not listed");
}
