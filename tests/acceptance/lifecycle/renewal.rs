//! Credentials that are too old, and their renewal.

use super::{renew_both, renewal_token, uri};
use cofrap_tests::{Answer, MAX_AGE, Person, Settings, TestApp};
use serde_json::{Value, json};

#[tokio::test]
async fn an_expired_account_renews_both_factors_with_the_token_that_its_last_login_gave() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let token = renewal_token(&mut michel).await;
    let body = json!({ "username": "michel.ranu", "renewal_token": token });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    // The old second factor is still too old.
    let second = renewal_token(&mut michel).await;
    app.call("generate-2fa-v2", body.clone()).await.problem(403, "proof_required");
    let body = json!({ "username": "michel.ranu", "renewal_token": second });
    michel.scan(&uri(app.call("generate-2fa-v2", body.clone()).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
    app.call("generate-password-v2", body).await.problem(403, "proof_required");
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2 WHERE expired").await, 0);
    app.clock.advance(MAX_AGE - 3600);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn one_renewal_token_works_for_both_generators_in_either_order() {
    let app = TestApp::start().await;
    for order in [["generate-password-v2", "generate-2fa-v2"], ["generate-2fa-v2", "generate-password-v2"]] {
        let name = order[0];
        let mut michel = app.active_account(name).await;
        renew_both(&app, &mut michel, order).await;
    }
}

/// An active account whose second factor was renewed an hour before its password became too old.
async fn account_with_only_the_password_too_old(app: &TestApp) -> Person<'_> {
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE - 3600);
    let session = michel.session().await;
    michel.scan(&uri(app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
    app.clock.advance(3601);
    michel
}

#[tokio::test]
async fn a_renewal_ends_with_the_password_when_the_second_factor_is_young() {
    let app = TestApp::start().await;
    let mut michel = account_with_only_the_password_too_old(&app).await;
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_renewal_token_lasts_15_minutes_and_the_next_one_ends_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let first = renewal_token(&mut michel).await;
    let second = renewal_token(&mut michel).await;
    let body = |token: &str| json!({ "username": "michel.ranu", "renewal_token": token });
    app.call("generate-password-v2", body(&first)).await.problem(403, "proof_required");
    app.clock.advance(899);
    app.call("generate-2fa-v2", body(&second)).await.ok();
    app.clock.advance(1);
    app.call("generate-2fa-v2", body(&second)).await.problem(403, "proof_required");
}

#[tokio::test]
async fn a_renewal_token_that_is_held_already_opens_a_lock_of_wrong_codes() {
    let app =
        TestApp::start_with(Settings::variable("account_failures_limit", "0").and("otp_failures_limit", "2")).await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    let token = renewal_token(&mut michel).await;
    for _ in 0..2 {
        app.authenticate("michel.ranu", &michel.password, "00000").await.problem(401, "invalid_credentials");
    }
    michel.log_in().await.problem(429, "too_many_attempts");
    let body = json!({ "username": "michel.ranu", "renewal_token": token });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn an_operator_s_mark_holds_until_both_factors_are_born_after_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(60);
    app.administer("michel.ranu", "expire").await.ok();
    app.clock.advance(60);
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_mark_that_was_made_by_hand_holds_until_both_factors_are_new() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(60);
    app.database.client.batch_execute("UPDATE users_v2 SET expired = TRUE").await.unwrap();
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(30);
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_second_factor_without_a_birth_keeps_the_age_of_the_password_that_it_came_with() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.database.client.batch_execute("UPDATE users_v2 SET mfa_gendate = NULL").await.unwrap();
    app.clock.advance(MAX_AGE + 1);
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal_token(&mut michel).await });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    michel.log_in().await.problem(403, "password_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parallel_renewals_leave_one_password_and_one_second_factor_that_belong_together() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    for round in 0..20 {
        let name = format!("michel.{round}");
        let mut michel = app.active_account(&name).await;
        app.database.client.batch_execute("UPDATE users_v2 SET gendate = 1, mfa_gendate = 1").await.unwrap();
        let body = json!({ "username": name, "renewal_token": renewal_token(&mut michel).await });
        let (one, other) = tokio::join!(
            app.call("generate-password-v2", body.clone()),
            app.call("generate-password-v2", body.clone())
        );
        let passwords = given(one, other);
        let (one, other) =
            tokio::join!(app.call("generate-2fa-v2", body.clone()), app.call("generate-2fa-v2", body.clone()));
        let uris = given(one, other);
        let mut works = 0;
        for (password, uri) in passwords.iter().flat_map(|password| uris.iter().map(move |uri| (password, uri))) {
            let mut person = michel.with_second_factor(uri);
            person.password.clone_from(password);
            app.clock.advance(60);
            works += usize::from(person.log_in().await.status == 200);
        }
        assert_eq!(works, 1, "round {round}");
    }
}

fn given(one: Answer, other: Answer) -> Vec<String> {
    let answers = [one, other].into_iter();
    let read = |answer: Answer| {
        if answer.status == 200 {
            return Some(answer.ok().read_qr_code());
        }
        answer.problem(409, "overtaken");
        None
    };
    answers.filter_map(read).collect()
}

#[tokio::test]
async fn a_complete_renewal_ends_a_lock_of_strangers() {
    let app = TestApp::start().await;
    let mut michel = account_with_only_the_password_too_old(&app).await;
    let token = renewal_token(&mut michel).await;
    for _ in 0..5 {
        app.authenticate("michel.ranu", "wrong", Value::Null).await.problem(401, "invalid_credentials");
    }
    michel.log_in().await.problem(429, "too_many_attempts");
    let body = json!({ "username": "michel.ranu", "renewal_token": token });
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn a_provisional_account_that_grew_too_old_renews_in_either_order() {
    let app = TestApp::start().await;
    for order in [["generate-password-v2", "generate-2fa-v2"], ["generate-2fa-v2", "generate-password-v2"]] {
        let name = order[0];
        let mut michel = app.provisional_account(name).await;
        renew_both(&app, &mut michel, order).await;
    }
}

#[tokio::test]
async fn an_account_that_was_marked_in_this_very_second_renews_in_it_too() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.administer("michel.ranu", "expire").await.ok();
    let code = michel.code_at(app.clock.now() + 30);
    let expired = app.authenticate("michel.ranu", &michel.password, code).await.problem(403, "password_expired");
    let body = json!({ "username": "michel.ranu", "renewal_token": expired["renewal_token"] });
    michel.password = app.call("generate-password-v2", body.clone()).await.ok().read_qr_code();
    michel.scan(&uri(app.call("generate-2fa-v2", body).await));
    app.clock.advance(60);
    michel.log_in().await.ok();
}
