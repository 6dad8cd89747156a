//! The web interface as it is served: headers, languages, weight, and what its texts and the contract owe each other.

use cofrap_api::openapi::DOCUMENT;
use cofrap_tests::{Language, TestApp, granted_variables};
use flate2::read::GzDecoder;
use http::{HeaderMap, Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// Compressed bytes of a first visit.
const MOST_BYTES: usize = 60 * 1024;

const PAGES: [&str; 8] =
    ["/", "/login", "/signup", "/logout", "/dashboard", "/generate-password", "/generate-2fa", "/check-2fa"];

/// Pages that show secrets, or what happened on an account.
const SECRET: [&str; 4] = ["/dashboard", "/generate-password", "/generate-2fa", "/check-2fa"];

async fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Bytes) {
    let request =
        headers.iter().fold(Request::get(app.url(path)), |request, (name, value)| request.header(*name, *value));
    let (parts, body) = app.fetch(request.body(Full::default()).unwrap()).await;
    (parts.status.as_u16(), parts.headers, body)
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

async fn page(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> String {
    String::from_utf8(get(app, path, headers).await.2.to_vec()).unwrap()
}

/// The paths of what a page is made of.
fn assets(page: &str) -> BTreeSet<String> {
    page.split('"').filter(|part| part.starts_with("/static/")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_page_and_asset_has_the_headers_of_a_careful_site() {
    let app = TestApp::start().await;
    let assets = assets(&page(&app, "/login", &[]).await);
    assert_eq!(assets.len(), 5, "{assets:?}");
    for path in PAGES.iter().copied().chain(assets.iter().map(String::as_str)).chain(["/nowhere", "/static/nothing.js"])
    {
        let (_, headers, body) = get(&app, path, &[]).await;
        let policy = text(&headers, "content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(policy.split("; ").any(|part| part == rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
        ] {
            assert_eq!(text(&headers, name), value, "{path}: {name}");
        }
        assert_eq!(text(&headers, "content-length"), body.len().to_string(), "{path}");
    }
}

#[tokio::test]
async fn what_shows_secrets_is_not_kept_and_what_never_changes_is_kept_for_a_year() {
    let app = TestApp::start().await;
    for path in PAGES {
        let (status, headers, _) = get(&app, path, &[]).await;
        let expected = if SECRET.contains(&path) { "no-store" } else { "private, no-cache" };
        assert_eq!((status, text(&headers, "cache-control").as_str()), (200, expected), "{path}");
        assert_eq!(text(&headers, "vary"), "accept-encoding, accept-language, cookie");
    }
    for path in assets(&page(&app, "/", &[]).await) {
        let (status, headers, _) = get(&app, &path, &[]).await;
        assert_eq!((status, text(&headers, "cache-control").as_str()), (200, "public, max-age=31536000, immutable"));
        assert_eq!(text(&headers, "vary"), "accept-encoding");
        let digest = path.split('/').nth(2).unwrap();
        assert!(digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{path}");
        let other = path.replace(digest, "0123456789abcdef");
        let (status, headers, _) = get(&app, &other, &[]).await;
        assert_eq!((status, text(&headers, "content-type").as_str()), (404, "text/html; charset=utf-8"));
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let app = TestApp::start().await;
    let asset = assets(&page(&app, "/", &[]).await).pop_first().unwrap();
    for path in ["/login", &asset] {
        for encoding in ["gzip", "identity"] {
            let accept = ("accept-encoding", encoding);
            let (_, headers, _) = get(&app, path, &[accept]).await;
            let tag = text(&headers, "etag");
            for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
                let (status, headers, body) = get(&app, path, &[accept, ("if-none-match", &known)]).await;
                assert_eq!((status, body.len()), (304, 0), "{path} {known}");
                assert_eq!((text(&headers, "etag"), text(&headers, "content-length")), (tag.clone(), String::new()));
                assert!(!text(&headers, "cache-control").is_empty());
            }
            for unknown in ["\"x\"", tag.trim_matches('"')] {
                assert_eq!(get(&app, path, &[accept, ("if-none-match", unknown)]).await.0, 200, "{path} {unknown}");
            }
        }
    }
    let tag = async |encoding| text(&get(&app, "/login", &[("accept-encoding", encoding)]).await.1, "etag");
    assert_ne!(tag("gzip").await, tag("identity").await, "they are not the same bytes");
    let missing = text(&get(&app, "/nowhere", &[]).await.1, "etag");
    assert_eq!(get(&app, "/nowhere", &[("if-none-match", &missing)]).await.0, 404);
    let french = text(&get(&app, "/login", &[]).await.1, "etag");
    let english = [("accept-language", "en"), ("if-none-match", french.as_str())];
    assert_eq!(get(&app, "/login", &english).await.0, 200);
}

#[tokio::test]
async fn what_is_compressed_is_the_same_and_a_first_visit_is_light() {
    let app = TestApp::start().await;
    for language in Language::ALL {
        let like = ("accept-language", language.tag());
        let paths = assets(&page(&app, "/login", &[like]).await);
        let mut weight = 0;
        for path in paths.iter().map(String::as_str).chain(["/login"]) {
            let (_, _, plain) = get(&app, path, &[like]).await;
            let (_, headers, compressed) = get(&app, path, &[like, ("accept-encoding", "br, gzip")]).await;
            assert_eq!(text(&headers, "content-encoding"), "gzip", "{path}");
            let mut read = Vec::new();
            GzDecoder::new(&compressed[..]).read_to_end(&mut read).unwrap();
            assert!(read == plain, "{path}");
            weight += compressed.len();
        }
        println!("a first visit in {} weighs {weight} bytes", language.tag());
        assert!(weight < MOST_BYTES, "{weight} bytes");
    }
}

#[tokio::test]
async fn pages_hold_nothing_inline_and_name_nobody_else() {
    let app = TestApp::start().await;
    for path in PAGES {
        for language in Language::ALL {
            let page = page(&app, path, &[("accept-language", language.tag())]).await;
            for sign in ["<style", " style=", " onclick", " onload", "javascript:", "://", "src=\"//", "href=\"//"] {
                assert!(!page.contains(sign), "{path}: {sign}");
            }
            for script in page.split("<script").skip(1) {
                assert!(
                    script.starts_with(" type=\"module\" src=\"/static/") && script.contains("\"></script>"),
                    "{path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_in_the_language_that_its_visitor_chose_or_likes() {
    let app = TestApp::start().await;
    let in_english = ("accept-language", "en-GB,en;q=0.9");
    for (path, headers, expected) in [
        ("/login", &[][..], "fr"),
        ("/login", &[in_english], "en"),
        ("/login/", &[in_english], "en"),
        ("/login", &[("cookie", "__Host-lang=en")], "en"),
        ("/login", &[("cookie", "__Host-lang=fr"), in_english], "fr"),
        ("/login?lang=en", &[("cookie", "__Host-lang=fr")], "en"),
        ("/nowhere", &[in_english], "en"),
    ] {
        let (_, answer, body) = get(&app, path, headers).await;
        assert_eq!(text(&answer, "content-language"), expected, "{path} {headers:?}");
        assert!(str::from_utf8(&body).unwrap().contains(&format!("<html lang=\"{expected}\"")));
        let chosen = "__Host-lang=en; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Lax";
        assert_eq!(text(&answer, "set-cookie"), if path.contains('?') { chosen } else { "" });
    }
}

#[tokio::test]
async fn pages_are_read_and_nothing_else() {
    let app = TestApp::start().await;
    for path in ["//", "//login", "/login//", "/%6cogin", "/Login"] {
        assert_eq!(get(&app, path, &[]).await.0, 404, "{path}");
    }
    for path in ["/", "/login", "/nowhere"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = app.request(method, path).await;
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), "GET, HEAD");
            assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        }
        let answer = app.request(Method::HEAD, path).await;
        assert_eq!((answer.status, answer.body.as_str()), (if path == "/nowhere" { 404 } else { 200 }, ""));
        assert_ne!(answer.header("content-length"), "0");
    }
}

#[test]
fn the_interface_is_given_no_key_and_no_database() {
    let (_, granted) = granted_variables().into_iter().find(|(component, _)| component == "frontend").unwrap();
    assert_eq!(granted, ["settings"]);
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../spin.toml")).unwrap();
    let (_, component) = manifest.split_once("[component.frontend]").unwrap();
    assert!(!component.split("[[trigger").next().unwrap().contains("outbound"), "{component}");
}

/// Codes that no page of ours meets: it sends what it should, where it should. `code.unknown` would speak for them.
const NEVER_MET: [&str; 6] =
    ["invalid_json", "not_found", "method_not_allowed", "altered_account", "body_too_large", "unsupported_media_type"];

#[test]
fn every_code_of_the_contract_has_words() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let codes = document["components"]["schemas"]["Code"]["oneOf"].as_array().unwrap();
    let codes: BTreeSet<_> = codes.iter().map(|code| code["const"].as_str().unwrap()).collect();
    assert!(codes.len() > 15 && NEVER_MET.iter().all(|code| codes.contains(code)));
    for language in Language::ALL {
        for code in codes.iter().filter(|code| !NEVER_MET.contains(code) && **code != "too_many_attempts") {
            language.text(&format!("code.{code}"));
        }
    }
}

#[test]
fn every_sentence_that_a_script_says_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../components/frontend/static");
    let mut said = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let script = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for (call, forms) in [
            (" t(\"", &[""][..]),
            ("(t(\"", &[""]),
            (" count(\"", &[".one", ".other"]),
            ("(count(\"", &[".one", ".other"]),
        ] {
            for key in script.split(call).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                for form in forms {
                    Language::French.text(&format!("{key}{form}"));
                    said += 1;
                }
            }
        }
    }
    assert!(said > 15, "{said}");
}

/// Signs that French sets off by a space which no line breaks at.
#[test]
fn french_is_set_as_french_is() {
    let texts = include_str!("../../components/frontend/texts/fr.json");
    for (sign, space) in [(':', '\u{a0}'), (';', '\u{202f}'), ('?', '\u{202f}'), ('!', '\u{202f}'), ('»', '\u{a0}')] {
        for (place, _) in texts.match_indices(sign) {
            let before = texts[..place].chars().next_back().unwrap();
            // A key's end.
            assert!(before == space || before == '"', "{}", &texts[place.saturating_sub(20)..place]);
        }
    }
    for language in Language::ALL {
        assert!(!language.texts().contains('\''), "’ is the apostrophe");
    }
}
