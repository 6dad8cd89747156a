//! What every function answers before it knows what is asked: methods, media types, sizes, JSON, headers.

use cofrap_api::BodyIs;
use cofrap_api::routes::ROUTES;
use cofrap_tests::{Answer, TestApp, exchange};
use http::Method;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const JSON: &str = "application/json";

/// Bytes that a body may have.
const LIMIT: usize = 16 * 1024;

fn check_headers(answer: &Answer) {
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.header("transfer-encoding"), "");
}

/// Every function that takes a JSON object and nothing else.
fn functions() -> Vec<&'static str> {
    let routes = ROUTES.iter().filter(|route| route.body == BodyIs::Json);
    let functions: Vec<_> = routes.filter_map(|route| route.paths[0].strip_prefix("/function/")).collect();
    assert!(functions.len() > 10, "{functions:?}");
    functions
}

/// What `{}` is answered: a field is missing, but where none is needed; there nobody is the operator.
fn answer_to_nothing(function: &str) -> (u16, &'static str) {
    if ["rotate-keys", "maintain"].contains(&function) { (401, "invalid_token") } else { (400, "missing_field") }
}

/// A valid body of so many bytes.
fn padded(length: usize) -> String {
    let body = r#"{"username":"michel.ranu","password":"x"}"#;
    format!("{}{body}", " ".repeat(length - body.len()))
}

#[tokio::test]
async fn every_answer_has_the_contract_s_headers() {
    let app = TestApp::start().await;
    check_headers(&app.generate_password("michel.ranu").await);
    check_headers(&app.generate_mfa("michel.ranu").await);
    check_headers(&app.authenticate("michel.ranu", "x", "123456").await);
    let routes = ROUTES.iter().flat_map(|route| route.paths).filter(|path| !path.ends_with("..."));
    for path in routes {
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            check_headers(&app.request(method, path).await);
        }
        check_headers(&app.post(path, JSON, "{}").await);
    }
    for path in functions().into_iter().chain(["nothing"]).map(|function| format!("/f/{function}")) {
        let path = path.as_str();
        check_headers(&app.request(Method::GET, path).await);
        check_headers(&app.post(path, JSON, "{").await);
        check_headers(&app.post(path, "text/plain", "{}").await);
        check_headers(&app.post(path, JSON, padded(LIMIT + 1)).await);
    }
}

#[tokio::test]
async fn only_post_is_taken() {
    let app = TestApp::start().await;
    for function in functions() {
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            let answer =
                app.request(Method::from_bytes(method.as_bytes()).unwrap(), &format!("/function/{function}")).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method}");
            if method != "HEAD" {
                answer.problem(405, "method_not_allowed");
            }
        }
    }
}

#[tokio::test]
async fn both_prefixes_and_one_trailing_slash_lead_to_the_function() {
    let app = TestApp::start().await;
    for function in functions() {
        for path in [format!("/function/{function}"), format!("/f/{function}"), format!("/f/{function}/")] {
            let (status, code) = answer_to_nothing(function);
            app.post(&path, JSON, "{}").await.problem(status, code);
        }
    }
}

#[tokio::test]
async fn only_json_is_taken_whatever_its_parameters() {
    let app = TestApp::start().await;
    for function in functions() {
        let path = format!("/function/{function}");
        for media_type in
            [JSON, "application/json; charset=utf-8", "APPLICATION/JSON;charset=\"utf-8\"", "application/json ;x=y"]
        {
            let (status, code) = answer_to_nothing(function);
            app.post(&path, media_type, "{}").await.problem(status, code);
        }
        for media_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json5",
            "text/json",
            "application/jsonx",
            "",
        ] {
            app.post(&path, media_type, "{}").await.problem(415, "unsupported_media_type");
        }
        let request = http::Request::post(app.url(&path)).body("{}".into()).unwrap();
        app.send(request).await.problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_has_at_most_16_kib() {
    let app = TestApp::start().await;
    for function in functions() {
        let path = format!("/function/{function}");
        assert_ne!(app.post(&path, JSON, padded(LIMIT)).await.status, 413);
        app.post(&path, JSON, padded(LIMIT + 1)).await.problem(413, "body_too_large");
        app.post(&path, JSON, padded(4 * 1024 * 1024)).await.problem(413, "body_too_large");
    }
}

#[tokio::test]
async fn a_chunked_body_without_a_length_has_the_same_limit() {
    let app = TestApp::start().await;
    let head = format!(
        "POST /function/generate-password-v2 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        app.address
    );
    let chunk = format!("{:x}\r\n{}\r\n", 8192, " ".repeat(8192));
    for (chunks, status) in [(1, "400"), (3, "413"), (512, "413")] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..chunks {
            stream.write_all(chunk.as_bytes()).await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{chunks} chunks: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_acted_on() {
    let app = TestApp::start().await;
    let body = r#"{"username":"michel.ranu"}"#;
    let head = format!(
        "POST /function/generate-password-v2 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
        app.address,
        body.len()
    );
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    // The function has answered once its line is there.
    let mut tries = 0;
    while app.log().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        tries += 1;
        assert!(tries < 200, "the function never ends");
    }
    assert!(app.log().contains("\"code\":\"invalid_json\""), "{}", app.log());
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 0);
}

/// RFC 9112, section 6.3: chunked wins over a length, so what is not cut into chunks is broken.
#[tokio::test]
async fn a_body_with_a_length_and_chunked_at_once_is_400_where_it_is_not_in_chunks() {
    let app = TestApp::start().await;
    let body = r#"{"username":"michel.ranu"}"#;
    let both = [format!("Content-Length: {}", body.len()), "Transfer-Encoding: chunked".to_owned()];
    for [one, other] in [[&both[0], &both[1]], [&both[1], &both[0]]] {
        let request = format!(
            "POST /function/generate-password-v2 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             {one}\r\n{other}\r\nConnection: close\r\n\r\n{body}",
            app.address
        );
        let answer = exchange(app.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_json"), "{answer}");
    }
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 0);
}

#[tokio::test]
async fn the_checks_have_one_order() {
    let app = TestApp::start().await;
    let path = "/function/generate-password-v2";
    let large = padded(LIMIT + 1);
    let send = |method: &str, media_type: &str, body: String| {
        let request = http::Request::builder().method(method).uri(app.url(path)).header("content-type", media_type);
        app.send(request.body(body.into()).unwrap())
    };
    send("PUT", "text/plain", large.clone()).await.problem(405, "method_not_allowed");
    send("POST", "text/plain", large.clone()).await.problem(415, "unsupported_media_type");
    send("POST", JSON, large).await.problem(413, "body_too_large");
    send("POST", JSON, "[".into()).await.problem(400, "invalid_json");
}

#[tokio::test]
async fn anything_but_one_json_object_in_utf_8_is_refused() {
    let app = TestApp::start().await;
    let bodies: Vec<&[u8]> = vec![
        b"",
        b" ",
        b"null",
        b"true",
        b"1",
        br#""text""#,
        b"[]",
        br#"["michel.ranu"]"#,
        b"{",
        b"{}x",
        b"{}{}",
        b"{\"username\":}",
        br#"{"username":"a","username":"b"}"#,
        br#"{"username":"\ud800"}"#,
        b"{\"username\":\"\xff\"}",
        b"{\"x\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{'username':'a'}",
        b"{\"username\":\"a\x00\"}",
        b"{\"username\":\"a\",}",
    ];
    for function in functions() {
        // What is odd in a field that a function does not have is ignored.
        let has_name = answer_to_nothing(function).0 == 400;
        for body in bodies.iter().filter(|body| has_name || !body.windows(8).any(|part| part == b"username")) {
            let answer = app.post(&format!("/function/{function}"), JSON, body.to_vec()).await;
            assert_eq!(
                answer.problem(400, "invalid_json")["error"],
                "Le corps de la requête doit être un objet JSON en UTF-8"
            );
        }
    }
}

#[tokio::test]
async fn deep_nesting_is_a_field_of_the_wrong_type() {
    let app = TestApp::start().await;
    let deep = format!(r#"{{"username":{}"x"{}}}"#, "[".repeat(8000), "]".repeat(8000));
    let answer = app.post("/function/generate-password-v2", JSON, deep).await;
    answer.problem(400, "invalid_field");
}

#[tokio::test]
async fn what_is_odd_in_ignored_fields_is_ignored() {
    let app = TestApp::start().await;
    let odd = [r#""x":1e400"#, r#""x":{"username":1}"#, r#""x":"\ud800""#, r#""x":1,"x":2"#];
    for (index, extra) in odd.iter().enumerate() {
        let body = format!("{{{extra},\"username\":\"michel.{index}\"}}");
        app.post("/function/generate-password-v2", JSON, body).await.ok();
    }
}

/// The host gives a component 32 MiB of memory: one that kept what it reads would end here.
#[tokio::test]
async fn nothing_past_the_limit_is_kept_in_memory() {
    let app = TestApp::start().await;
    for function in functions() {
        let body = padded(31 * 1024 * 1024);
        app.post(&format!("/function/{function}"), JSON, body).await.problem(413, "body_too_large");
    }
}

#[tokio::test]
async fn no_body_of_random_bytes_is_a_server_error() {
    let app = TestApp::start().await;
    let functions = functions();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let template = br#"{"username":"michel.ranu","password":"x","2FA_code":"123456","token":"123456","issuer":"y"}"#;
    for round in 0..600_usize {
        let mut body = template.to_vec();
        for _ in 0..=rng.next_u32() % 4 {
            let (at, byte) = (rng.next_u32() as usize % body.len(), rng.next_u32().to_le_bytes()[0]);
            body[at] = byte;
        }
        let function = functions[round % functions.len()];
        let answer = app.post(&format!("/function/{function}"), JSON, body.clone()).await;
        assert!(answer.status < 500, "{}: {}", String::from_utf8_lossy(&body), answer.body);
    }
}
