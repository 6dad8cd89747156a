//! What a proxy enforces before a request reaches a function, with nginx as `deploy/nginx/cofrap.conf` has it. Both journeys and every
//! refusal go through it in `anywhere.rs`.

use cofrap_tests::{Settings, TestApp};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn functions() -> TestApp {
    TestApp::behind_nginx(Settings::behind_a_proxy(), &[]).await
}

async fn status(app: &TestApp, path: &str) -> u16 {
    let request = Request::get(format!("http://{}{path}", app.address)).body(Full::default()).unwrap();
    app.fetch(request).await.0.status.as_u16()
}

#[tokio::test]
async fn every_answer_tells_browsers_to_stay_with_https() {
    let app = functions().await;
    for path in ["/login", "/function/session", "/function/nothing", "/.well-known/jwks.json"] {
        let request = Request::get(format!("http://{}{path}", app.address)).body(Full::default()).unwrap();
        let (parts, _) = app.fetch(request).await;
        assert_eq!(parts.headers["strict-transport-security"], "max-age=63072000", "{path}");
    }
}

#[tokio::test]
async fn operators_functions_health_and_metrics_are_not_there() {
    let app = functions().await;
    for name in ["administer-account", "audit-log", "rotate-keys", "maintain", "health", "anything"] {
        for prefix in ["/function", "/f"] {
            assert_eq!(status(&app, &format!("{prefix}/{name}")).await, 404, "{prefix}/{name}");
        }
    }
    for path in ["/metrics", "/.well-known/spin/health", "/.well-known/spin/info", "/function/health/", "/function"] {
        assert_eq!(status(&app, path).await, 404, "{path}");
    }
    // Other spellings of a path lead nowhere else.
    for path in ["/function//health", "/function/%68ealth", "/function/./health", "/x/../function/health"] {
        assert_eq!(status(&app, path).await, 404, "{path}");
    }
    assert_eq!(status(&app, "/function/session").await, 401);
}

#[tokio::test]
async fn an_address_that_a_client_claims_never_counts() {
    let app = functions().await;
    for claimed in ["198.51.100.7", "198.51.100.7, 203.0.113.9", "unknown"] {
        app.call_from(
            claimed,
            "authenticate-user-v2",
            json!({
                "username": "nobody.there", "password": "wrong", "2FA_code": "123456"
            }),
        )
        .await
        .problem(401, "invalid_credentials");
    }
    let seen = app.database.text("SELECT string_agg(DISTINCT ip_address::text, ' ') FROM auth_logs_v2").await;
    assert!(seen.starts_with("127.0.0.1") && !seen.contains("198.51"), "{seen}");
}

#[tokio::test]
async fn what_says_which_page_asked_goes_through() {
    let app = functions().await;
    let mut michel = app.active_account("michel.ranu").await;
    let login = "/function/authenticate-user-v2";
    let json = ("content-type", "application/json");
    let host = format!("http://{}", app.address);
    for of_page in [("sec-fetch-site", "same-origin"), ("origin", host.as_str())] {
        let headers = [json, of_page, ("cofrap-session", "cookie")];
        let answer = app.from_page(Method::POST, login, "", &headers, michel.with_credentials()).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let session = app.from_page(Method::GET, "/function/session", &cookie, &[], Value::Null).await;
        assert_eq!(session.ok().0["username"], "michel.ranu");
    }
    for of_other in [("sec-fetch-site", "cross-site"), ("origin", "https://elsewhere.example")] {
        let headers = [json, of_other, ("cofrap-session", "cookie")];
        let answer = app.from_page(Method::POST, login, "", &headers, michel.with_credentials()).await;
        answer.problem(403, "cross_site_request");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_never_reaches_a_function() {
    let app = functions().await;
    let body = vec![b' '; 64 * 1024 + 1];
    let request = Request::post(format!("http://{}/function/authenticate-user-v2", app.address));
    let request = request.header("content-type", "application/json").body(Full::new(body.into())).unwrap();
    assert_eq!(app.fetch(request).await.0.status, 413);
    assert!(!app.log().contains("authenticate-user-v2"), "{}", app.log());
}

/// Without it, each such client keeps an instance for as long as it likes.
#[tokio::test]
async fn a_body_that_stops_on_its_way_never_reaches_a_function() {
    let soon = [("client_body_timeout 10s", "client_body_timeout 1s")];
    let app = TestApp::behind_nginx(Settings::behind_a_proxy(), &soon).await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /function/authenticate-user-v2 HTTP/1.1\r\nHost: auth.example.org\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("the connection ends").unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(!app.log().contains("authenticate-user-v2"), "{}", app.log());
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_so_before_a_function_is() {
    let less = [("rate=50r/s", "rate=1r/s"), ("burst=100", "burst=5")];
    let app = TestApp::behind_nginx(Settings::behind_a_proxy(), &less).await;
    let mut statuses = Vec::new();
    for _ in 0..20 {
        statuses.push(status(&app, "/.well-known/jwks.json").await);
    }
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 6, "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 429).count() >= 5, "{statuses:?}");
}

/// A database that accepts connections and never answers: nothing inside Spin ends that.
#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = silent.local_addr().unwrap();
    let settings = Settings::behind_a_proxy()
        .and("database_url", &format!("postgres://nobody:nothing@{place}/none"))
        .and("database_host", &place.to_string());
    let app = TestApp::behind_nginx(settings, &[("proxy_read_timeout 20s", "proxy_read_timeout 1s")]).await;
    let body = json!({ "username": "michel.ranu", "password": "x" }).to_string();
    let request = Request::post(format!("http://{}/function/authentication", app.address));
    let request = request.header("content-type", "application/json").body(Full::new(body.into())).unwrap();
    assert_eq!(app.fetch(request).await.0.status, 504);
}
