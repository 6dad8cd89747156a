//! A session in a browser: a cookie that no script reads, and that only pages of this site can use.

use cofrap_tests::{ADMIN_TOKEN, Answer, Person, Settings, TestApp};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

const SESSION: &str = "/function/session";
const LOGIN: &str = "/function/authenticate-user-v2";
const CLEARED: &str = "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict";

/// What the interface's own requests carry.
const OF_PAGES: [(&str, &str); 3] =
    [("content-type", "application/json"), ("sec-fetch-site", "same-origin"), ("cofrap-session", "cookie")];

/// What a `Cookie` header says after an answer.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn log_in(app: &TestApp, person: &mut Person<'_>) -> Answer {
    let body = person.with_credentials();
    app.from_page(Method::POST, LOGIN, "", &OF_PAGES, body).await
}

async fn session(app: &TestApp, cookie: &str) -> Answer {
    app.from_page(Method::GET, SESSION, cookie, &[], Value::Null).await
}

#[tokio::test]
async fn a_page_s_login_is_answered_with_a_cookie_and_without_a_token() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let answer = log_in(&app, &mut michel).await;
    let (name, rest) = answer.header("set-cookie").split_once('=').unwrap();
    let (token, attributes) = rest.split_once(';').unwrap();
    assert_eq!((name, attributes), ("__Host-session", " Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Strict"));
    app.session(token).await.ok();
    let (cookie, token) = (cookie(&answer), token.to_owned());
    assert!(!answer.body.contains(&token) && !app.log().contains(&token));
    let body = answer.ok().0;
    assert_eq!((&body["token"], &body["token_type"], &body["expires_in"]), (&Value::Null, &Value::Null, &json!(1800)));
    assert_eq!(session(&app, &format!("x=y; {cookie}; z=")).await.ok().0["username"], "michel.ranu");
    app.from_page(Method::GET, "/function/activity", &cookie, &[], Value::Null).await.ok();
}

#[tokio::test]
async fn the_second_step_of_a_login_gives_one_too() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let challenge = michel.challenge().await;
    let body = json!({ "username": "michel.ranu", "token": michel.fresh_code(), "challenge": challenge });
    let answer = app.from_page(Method::POST, "/f/verify-2fa", "", &OF_PAGES, body).await;
    session(&app, &cookie(&answer)).await.ok();
    assert_eq!(answer.ok().0.get("token"), None);
}

#[tokio::test]
async fn who_does_not_ask_for_a_cookie_gets_none() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    for value in ["", "token", "Cookie"] {
        let headers = [OF_PAGES[0], OF_PAGES[1], ("cofrap-session", value)];
        let body = michel.with_credentials();
        let answer = app.from_page(Method::POST, LOGIN, "", &headers, body).await;
        assert_eq!(answer.header("set-cookie"), "");
        assert!(answer.ok().0["token"].is_string());
    }
    let legacy = app.restart_with(Settings::variable("policy", "legacy")).await;
    let body = michel.with_credentials();
    let answer = legacy.from_page(Method::POST, LOGIN, "", &OF_PAGES, body).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, ""));
}

#[tokio::test]
async fn a_page_makes_its_session_last_and_ends_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let first = cookie(&log_in(&app, &mut michel).await);
    app.clock.advance(1000);
    let answer = app.from_page(Method::POST, SESSION, &first, &OF_PAGES, Value::Null).await;
    let second = cookie(&answer);
    assert_eq!(answer.ok().0.get("token"), None);
    app.clock.advance(1000);
    session(&app, &first).await.problem(401, "invalid_token");
    session(&app, &second).await.ok();
    let answer = app.from_page(Method::DELETE, SESSION, &second, &OF_PAGES, Value::Null).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, CLEARED));
    let answer = session(&app, &second).await;
    answer.problem(401, "invalid_token");
    assert_eq!(answer.header("set-cookie"), CLEARED, "a browser does not go on to send it");
}

#[tokio::test]
async fn a_bearer_wins_over_a_cookie_whatever_it_is_worth() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let cookie = cookie(&log_in(&app, &mut michel).await);
    let sophie = app.active_account("sophie").await.session().await;
    let with = async |method: Method, authorization: &[&str]| {
        let request = Request::builder().method(method).uri(app.url(SESSION)).header("cookie", &cookie);
        let request = authorization.iter().fold(request, |request, value| request.header("authorization", *value));
        app.send(request.body(Full::default()).unwrap()).await
    };
    let bearer = format!("Bearer {sophie}");
    assert_eq!(with(Method::GET, &[&bearer]).await.ok().0["username"], "sophie");
    assert_eq!(with(Method::GET, &["Basic x"]).await.ok().0["username"], "michel.ranu");
    for authorization in [&["Bearer nonsense"][..], &["Bearer"], &["bearer "], &[&bearer, &bearer]] {
        let answer = with(Method::GET, authorization).await;
        answer.problem(401, "invalid_token");
        assert_eq!(answer.header("set-cookie"), "", "{authorization:?}");
    }
    // A program needs none of what pages need.
    let answer = with(Method::POST, &[&bearer]).await;
    assert_eq!(answer.header("set-cookie"), "");
    assert!(answer.ok().0["token"].is_string());
    let answer = with(Method::DELETE, &[&bearer]).await;
    assert_eq!(answer.header("set-cookie"), "", "the cookie is another session");
    assert_eq!(answer.ok().0["username"], "sophie");
    session(&app, &cookie).await.ok();
}

#[tokio::test]
async fn only_a_page_of_this_site_writes_by_cookie() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let cookie = cookie(&log_in(&app, &mut michel).await);
    let (own, host) = (format!("http://{}", app.address), app.address.to_string());
    let before = app.database.dump().await;
    let foreign: [&[(&str, &str)]; 9] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
        &[("sec-fetch-site", "none"), ("origin", &own)],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "http://127.0.0.1")],
        &[("origin", &host)],
        &[("origin", "https://evil.example"), ("host", "evil.example"), ("sec-fetch-site", "cross-site")],
    ];
    let generate = "/function/generate-password-v2";
    for headers in foreign {
        let headers: Vec<_> = headers.iter().copied().chain([OF_PAGES[0], OF_PAGES[2]]).collect();
        for (method, path) in [(Method::POST, SESSION), (Method::DELETE, SESSION), (Method::POST, generate)] {
            let answer = app.from_page(method, path, &cookie, &headers, json!({ "username": "michel.ranu" })).await;
            answer.problem(403, "cross_site_request");
            assert_eq!(answer.header("set-cookie"), "");
        }
        let body = michel.with_credentials();
        app.from_page(Method::POST, LOGIN, "", &headers, body).await.problem(403, "cross_site_request");
    }
    assert_eq!(app.database.dump().await, before, "nothing is judged, nothing written");
    session(&app, &cookie).await.ok();
    let body = json!({ "username": 1 });
    let answer = app.from_page(Method::POST, generate, &cookie, &[OF_PAGES[0]], body).await;
    answer.problem(400, "invalid_field");
    for headers in [&[("sec-fetch-site", "same-origin")][..], &[("origin", own.as_str())]] {
        let headers: Vec<_> = headers.iter().copied().chain([OF_PAGES[0]]).collect();
        app.from_page(Method::POST, SESSION, &cookie, &headers, Value::Null).await.ok();
    }
}

#[tokio::test]
async fn what_is_written_by_cookie_is_declared_as_json_even_if_it_is_empty() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let cookie = cookie(&log_in(&app, &mut michel).await);
    for method in [Method::POST, Method::DELETE] {
        for media_type in ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let headers = [("content-type", media_type), OF_PAGES[1]];
            let answer = app.from_page(method.clone(), SESSION, &cookie, &headers, Value::Null).await;
            answer.problem(415, "unsupported_media_type");
        }
        let answer = app.from_page(method.clone(), SESSION, &cookie, &OF_PAGES[1..], Value::Null).await;
        answer.problem(415, "unsupported_media_type");
    }
    session(&app, &cookie).await.ok();
}

#[tokio::test]
async fn a_cookie_proves_as_much_as_a_bearer_and_for_as_long() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.active_account("sophie").await;
    let cookie = cookie(&log_in(&app, &mut michel).await);
    let generate = async |function: &str, name: &str| {
        let path = format!("/function/{function}");
        app.from_page(Method::POST, &path, &cookie, &OF_PAGES, json!({ "username": name })).await
    };
    for function in ["generate-2fa", "generate-2fa-v2"] {
        generate(function, "sophie").await.problem(403, "proof_required");
        generate(function, "michel.ranu").await.ok();
    }
    app.clock.advance(301);
    for function in ["generate-2fa", "generate-2fa-v2", "generate-password", "generate-password-v2"] {
        generate(function, "michel.ranu").await.problem(403, "proof_required");
    }
    for function in ["generate-password", "generate-password-v2"] {
        let cookie = self::cookie(&log_in(&app, &mut michel).await);
        let body = json!({ "username": "michel.ranu" });
        let answer = app.from_page(Method::POST, &format!("/f/{function}"), &cookie, &OF_PAGES, body).await.ok();
        michel.password = answer.0["password"].as_str().map_or_else(|| answer.read_qr_code(), str::to_owned);
        session(&app, &cookie).await.problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_cookie_is_a_session_and_nothing_else() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session_cookie = cookie(&log_in(&app, &mut michel).await);
    let operator = format!("__Host-session={ADMIN_TOKEN}");
    for cookie in [&operator, &session_cookie] {
        let answer = app.from_page(Method::GET, "/function/audit-log", cookie, &OF_PAGES, Value::Null).await;
        answer.problem(401, "invalid_token");
        assert_eq!(answer.header("set-cookie"), "");
        let body = json!({ "username": "michel.ranu", "action": "disable" });
        let path = "/function/administer-account";
        app.from_page(Method::POST, path, cookie, &OF_PAGES, body).await.problem(401, "invalid_token");
    }
    session(&app, &format!("{session_cookie}; {session_cookie}")).await.problem(401, "invalid_token");
    session(&app, &session_cookie.replace("__Host-", "")).await.problem(401, "invalid_token");
    session(&app, &session_cookie).await.ok();
}
