//! What holds wherever the functions run: `cargo xtask test --host-url URL --database-url URL` asks functions that run on any Spin.
//! Nothing here moves a clock or sets a variable.

use cofrap_tests::{CHOSEN_PASSWORD, Person, TestApp};
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use std::time::Duration;

/// Each fact, once for each way to the functions.
macro_rules! facts {
    ($($fact:ident),* $(,)?) => {
        mod directly {
            $(#[tokio::test]
            async fn $fact() {
                super::$fact(cofrap_tests::TestApp::anywhere().await).await;
            })*
        }
        mod behind_nginx {
            $(#[tokio::test]
            async fn $fact() {
                super::$fact(cofrap_tests::TestApp::anywhere_behind_nginx().await).await;
            })*
        }
    };
}

facts![
    the_second_generation_s_journey,
    the_first_generation_s_journey,
    a_locked_name_is_refused_at_once_however_often_it_is_tried_and_others_log_in,
    refusals_answer_and_do_not_hang,
    pages_without_a_row_are_empty,
    fifty_people_log_in_at_once_and_a_code_is_worth_one_login,
    after_a_burst_every_function_answers_within_five_seconds,
    connections_that_the_server_ended_are_opened_again,
];

async fn the_second_generation_s_journey(app: TestApp) {
    let name = app.unique_name("michel");
    let mut michel = app.provisional_account(&name).await;
    let session = michel.session().await;
    assert_eq!(app.session(&session).await.ok().0["username"], name);
    app.request_as(&session, Method::POST, "/function/session").await.ok();
    let activity = app.request_as(&session, Method::GET, "/function/activity").await.ok().0;
    assert!(activity["entries"].as_array().is_some_and(|rows| rows.len() >= 3), "{activity}");

    let body = michel.with_credentials();
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    app.session(&session).await.problem(401, "invalid_token");
    let session = michel.session().await;
    app.request_as(&session, Method::DELETE, "/function/session").await.ok();
    app.session(&session).await.problem(401, "invalid_token");
}

async fn the_first_generation_s_journey(app: TestApp) {
    let mut jeanne = app.chosen_account(&app.unique_name("jeanne")).await;
    jeanne.log_in_by_steps().await.ok();
    let code = jeanne.fresh_code();
    app.verify_code(&jeanne.username, &code).await.ok();
    app.verify_code(&jeanne.username, &code).await.problem(401, "invalid_credentials");
}

/// A hundred attempts on a locked name hung, and closed the function for everybody.
async fn a_locked_name_is_refused_at_once_however_often_it_is_tried_and_others_log_in(app: TestApp) {
    let mut other = app.provisional_account(&app.unique_name("other")).await;
    let name = app.unique_name("locked");
    for _ in 0..5 {
        app.authenticate(&name, "wrong", "123456").await.problem(401, "invalid_credentials");
    }
    let attempts = join_all((0..100).map(|_| app.authenticate(&name, "wrong", "123456")));
    for answer in tokio::time::timeout(Duration::from_secs(30), attempts).await.expect("none hangs") {
        answer.problem(429, "too_many_attempts");
    }
    other.log_in().await.ok();
}

async fn refusals_answer_and_do_not_hang(app: TestApp) {
    let mut michel = app.active_account(&app.unique_name("michel")).await;
    let name = michel.username.clone();
    let session = michel.session().await;

    app.authenticate(&name, "wrong", "123456").await.problem(401, "invalid_credentials");
    app.generate_password(&name).await.problem(403, "proof_required");
    app.generate_mfa(&name).await.problem(403, "proof_required");
    app.begin_login(&name, "wrong").await.problem(401, "invalid_credentials");
    app.verify_code(&name, "000000").await.problem(401, "invalid_credentials");
    app.create_account(&name, CHOSEN_PASSWORD).await.problem(409, "username_taken");
    app.create_account(&app.unique_name("weak"), "motdepasse").await.problem(400, "invalid_field");
    app.session("no.session.token").await.problem(401, "invalid_token");
    app.request(Method::GET, "/function/nothing").await.problem(404, "not_found");
    app.request(Method::PUT, "/function/session").await.problem(405, "method_not_allowed");
    app.post("/function/authenticate-user-v2", "text/plain", "{}").await.problem(415, "unsupported_media_type");
    app.post("/function/authenticate-user-v2", "application/json", "[]").await.problem(400, "invalid_json");
    app.post("/function/authenticate-user-v2", "application/json", vec![b' '; 20_000])
        .await
        .problem(413, "body_too_large");

    // Sessions of accounts that are disabled, and gone.
    app.administer(&name, "disable").await.ok();
    app.session(&session).await.problem(401, "invalid_token");
    app.request_as(&session, Method::GET, "/function/activity").await.problem(401, "invalid_token");
    app.administer(&name, "enable").await.ok();
    app.database.client.execute("DELETE FROM users_v2 WHERE username = $1", &[&name]).await.unwrap();
    app.session(&session).await.problem(401, "invalid_token");
    app.request_as(&session, Method::DELETE, "/function/session").await.problem(401, "invalid_token");
}

async fn pages_without_a_row_are_empty(app: TestApp) {
    let path = "/function/audit-log?before=1";
    assert_eq!(app.request_as(&app.operator, Method::GET, path).await.ok().0["entries"], json!([]));
}

async fn fifty_people_log_in_at_once_and_a_code_is_worth_one_login(app: TestApp) {
    let mut people = Vec::new();
    for number in 0..50 {
        people.push(app.provisional_account(&app.unique_name(&format!("p{number}"))).await);
    }
    for answer in join_all(people.iter_mut().map(Person::log_in)).await {
        answer.ok();
    }
    let michel = &mut people[0];
    let code = michel.fresh_code();
    let answers = join_all((0..50).map(|_| app.authenticate(&michel.username, &michel.password, code.clone()))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

/// Every component has a pool of its own, and pools never shrink.
async fn after_a_burst_every_function_answers_within_five_seconds(app: TestApp) {
    let (name, other) = (app.unique_name("burst"), app.unique_name("burst"));
    let logins = join_all((0..70).map(|_| app.authenticate(&name, "wrong", "123456")));
    let generations = join_all((0..70).map(|_| app.verify_code(&other, "123456")));
    let burst = futures_util::future::join(logins, generations);
    tokio::time::timeout(Duration::from_secs(30), burst).await.expect("none hangs");
    app.every_function_answers_soon().await;
}

async fn connections_that_the_server_ended_are_opened_again(app: TestApp) {
    let mut michel = app.active_account(&app.unique_name("michel")).await;
    app.database.end_sessions().await;
    michel.log_in().await.ok();
    app.database.end_sessions().await;
    app.every_function_answers_soon().await;
}
