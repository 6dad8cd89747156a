//! The components as they ship.

use cofrap_api::routes::ROUTES;
use cofrap_host::VariableRead;
use cofrap_tests::{ADMIN_TOKEN, CHOSEN_PASSWORD, TestApp, component_files, granted_variables};
use http::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// 1 MiB: what a node pulls, and what every cold start compiles.
const MOST_BYTES: u64 = 1024 * 1024;

#[test]
fn no_component_is_larger_than_1_mib() {
    let files = component_files();
    assert!(!files.is_empty());
    for file in files {
        let bytes = file.metadata().unwrap().len();
        assert!(bytes <= MOST_BYTES, "{}: {bytes} bytes", file.display());
    }
}

/// 10 MiB: what an image has to bring.
#[test]
fn all_together_are_no_larger_than_10_mib() {
    let bytes: u64 = component_files().iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= 10 * MOST_BYTES, "{bytes} bytes");
}

/// Variables that a request may have the platform look up; each look-up costs it up to 25 microseconds.
const MOST_READS: usize = 12;

/// Health looks at all but one of the application's seven, and connecting looks up all.
const MOST_READS_OF_HEALTH: usize = 13;

/// One request to each component that makes it read all that it ever reads.
async fn ask_everything(app: &TestApp) -> BTreeMap<String, Vec<VariableRead>> {
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let body = json!({
        "username": "michel.ranu", "password": CHOSEN_PASSWORD, "2FA_code": "123456", "token": "123456", "action": "unlock"
    });
    let mut reads = BTreeMap::new();
    for route in ROUTES {
        app.take_reads();
        let path = route.paths[0].replace("...", "nothing");
        if route.methods().next() == Some("POST") {
            app.ask_as(&app.operator, "POST", &path, &body).await;
        } else {
            let bearer = if route.component == "audit-log" { ADMIN_TOKEN } else { session.as_str() };
            let method = if route.methods().eq(["DELETE"]) { Method::DELETE } else { Method::GET };
            app.request_as(bearer, method, &path).await;
        }
        reads.insert(route.component.to_owned(), app.take_reads());
    }
    reads
}

#[tokio::test]
async fn a_component_reads_exactly_what_it_is_granted_and_no_request_more_than_twelve_times() {
    let app = TestApp::start().await;
    let reads = ask_everything(&app).await;
    for (component, granted) in granted_variables() {
        let reads = &reads[&component];
        assert!(reads.iter().all(|read| read.component == component), "{reads:?}");
        let asked: BTreeSet<_> =
            reads.iter().filter(|read| !read.by_connecting).map(|read| read.variable.clone()).collect();
        assert_eq!(asked, granted.into_iter().collect(), "{component}");
        let most = if component == "health" { MOST_READS_OF_HEALTH } else { MOST_READS };
        assert!(reads.len() <= most, "{component}: {} reads", reads.len());
    }
}

#[tokio::test]
async fn a_login_has_eleven_variables_looked_up() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(30);
    app.take_reads();
    michel.log_in().await.ok();
    let reads = app.take_reads();
    // Four that it asks for, and the application's seven when it connects.
    assert_eq!(reads.len(), 11, "{reads:#?}");
}
