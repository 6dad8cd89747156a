//! How often things may fail: per name, per address, for codes; and who is not locked out by others.

mod parallel;

use cofrap_tests::{ADMIN_TOKEN, Answer, CHOSEN_PASSWORD, KEY, Person, Settings, TestApp};
use serde_json::{Value, json};

pub(super) async fn fail(app: &TestApp, name: &str) -> Answer {
    app.authenticate(name, "wrong", "000000").await
}

/// Seconds that a refused caller is told to wait.
#[track_caller]
pub(super) fn wait(answer: &Answer) -> i64 {
    answer.problem(429, "too_many_attempts");
    answer.header("retry-after").parse().expect("seconds")
}

pub(super) async fn judged(app: &TestApp) -> i64 {
    app.database
        .count("SELECT count(*) FROM auth_logs_v2 WHERE details ->> 'reason' IS DISTINCT FROM 'too_many_attempts'")
        .await
}

#[tokio::test]
async fn after_5_failures_in_a_row_a_name_waits_30_seconds_doubling_to_15_minutes_whether_it_exists_or_not() {
    let app = TestApp::start_with(Settings::variable("ip_failures_limit", "0")).await;
    app.provisional_account("michel.ranu").await;
    for name in ["michel.ranu", "nobody"] {
        for _ in 0..5 {
            fail(&app, name).await.problem(401, "invalid_credentials");
        }
        for seconds in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(wait(&fail(&app, name).await), seconds, "{name}");
            app.clock.advance(seconds - 1);
            assert_eq!(wait(&fail(&app, name).await), 1, "{name}");
            app.clock.advance(1);
            fail(&app, name).await.problem(401, "invalid_credentials");
        }
    }
}

#[tokio::test]
async fn the_lock_answers_the_same_for_the_right_credentials_and_a_complete_login_ends_the_row() {
    let app = TestApp::start().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    for _ in 0..5 {
        fail(&app, "michel.ranu").await.problem(401, "invalid_credentials");
    }
    let refused = fail(&app, "michel.ranu").await;
    assert_eq!(michel.log_in().await.visible(), refused.visible());
    app.clock.advance(30);
    michel.log_in().await.ok();
    for _ in 0..4 {
        fail(&app, "michel.ranu").await.problem(401, "invalid_credentials");
    }
    michel.log_in().await.ok();
}

#[tokio::test]
async fn every_function_that_judges_a_password_or_a_code_has_the_same_count() {
    let app = TestApp::start().await;
    let _ = app.active_account("michel.ranu").await;
    let body = json!({ "username": "michel.ranu", "password": "wrong", "2FA_code": "000000" });
    for function in ["generate-password-v2", "generate-2fa-v2", "authenticate-user-v2", "generate-password-v2"] {
        app.call(function, body.clone()).await.problem(401, "invalid_credentials");
    }
    app.call("generate-2fa-v2", body.clone()).await.problem(401, "invalid_credentials");
    for function in ["generate-password-v2", "generate-2fa-v2", "authenticate-user-v2"] {
        assert_eq!(wait(&app.call(function, body.clone()).await), 30, "{function}");
    }
}

#[tokio::test]
async fn a_proof_for_a_name_that_does_not_exist_counts_and_answers_like_a_wrong_one() {
    let app = TestApp::start_with(Settings::variable("registration", "operator")).await;
    for (function, rounds) in [("generate-2fa-v2", 3), ("generate-password-v2", 2)] {
        for _ in 0..rounds {
            let body = json!({ "username": "nobody", "password": "wrong", "2FA_code": "000000" });
            app.call(function, body).await.problem(401, "invalid_credentials");
        }
    }
    assert_eq!(wait(&fail(&app, "nobody").await), 30);
}

#[tokio::test]
async fn from_one_address_30_failures_in_5_minutes_are_judged_and_a_64_is_one_address() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let attempt = async |address: &str, name: String| {
        let body = json!({ "username": name, "password": "x", "2FA_code": "000000" });
        app.call_from(address, "authenticate-user-v2", body).await
    };
    for round in 0..30 {
        let address = format!("2001:db8::{round:x}");
        attempt(&address, format!("n{round}")).await.problem(401, "invalid_credentials");
        app.clock.advance(1);
    }
    assert_eq!(wait(&attempt("2001:db8::ffff:1", "another".into()).await), 270);
    attempt("2001:db8:0:1::1", "another".into()).await.problem(401, "invalid_credentials");
    for round in 0..30 {
        let address = if round % 2 == 0 { "203.0.113.7" } else { "::ffff:203.0.113.7" };
        attempt(address, format!("m{round}")).await.problem(401, "invalid_credentials");
    }
    assert_eq!(wait(&attempt("203.0.113.7", "another".into()).await), 300);
    app.clock.advance(300);
    attempt("203.0.113.7", "another".into()).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn an_address_asks_for_100_generations_an_hour_refused_ones_included() {
    let app = TestApp::start_with(Settings::variable("ip_generations_limit", "6")).await;
    app.generate_password("a").await.ok();
    app.generate_password("A").await.problem(409, "username_taken");
    app.generate_mfa("nobody").await.problem(403, "proof_required");
    app.generate_mfa("a").await.ok();
    app.generate_mfa("a").await.problem(403, "proof_required");
    app.clock.advance(600);
    app.generate_password("b").await.ok();
    assert_eq!(wait(&app.generate_password("c").await), 900);
    assert_eq!(wait(&app.generate_mfa("a").await), 900);
    app.clock.advance(3000);
    app.generate_password("c").await.ok();
}

#[tokio::test]
async fn after_20_wrong_codes_behind_a_right_password_the_account_waits_for_the_operator() {
    let app =
        TestApp::start_with(Settings::variable("account_failures_limit", "0").and("ip_failures_limit", "0")).await;
    let mut michel = app.active_account("michel.ranu").await;
    for _ in 0..30 {
        fail(&app, "michel.ranu").await.problem(401, "invalid_credentials");
    }
    for round in 0..20 {
        let code = if round % 2 == 0 { json!("00000") } else { json!(wrong_code(&michel, &app)) };
        app.authenticate("michel.ranu", &michel.password, code).await.problem(401, "invalid_credentials");
    }
    assert_eq!(wait(&michel.log_in().await), 900);
    app.clock.advance(24 * 3600);
    assert_eq!(wait(&michel.log_in().await), 900);
    app.administer("michel.ranu", "unlock").await.ok();
    michel.log_in().await.ok();
}

pub(super) fn wrong_code(person: &Person<'_>, app: &TestApp) -> String {
    let right: Vec<_> = (-1..=1).map(|step| person.code_at(app.clock.now() + step * 30)).collect();
    (0..10).map(|number| format!("{number:06}")).find(|code| !right.contains(code)).unwrap()
}

#[tokio::test]
async fn a_complete_login_ends_the_row_of_wrong_codes() {
    let app =
        TestApp::start_with(Settings::variable("account_failures_limit", "0").and("otp_failures_limit", "3")).await;
    let mut michel = app.active_account("michel.ranu").await;
    for _ in 0..3 {
        for _ in 0..2 {
            app.authenticate("michel.ranu", &michel.password, wrong_code(&michel, &app))
                .await
                .problem(401, "invalid_credentials");
        }
        michel.log_in().await.ok();
    }
    // Neither a missing nor a replayed code is a guess.
    let used = michel.code_at(app.clock.now());
    for code in [Value::Null, json!(used), Value::Null, json!(used)] {
        app.authenticate("michel.ranu", &michel.password, code).await.problem(401, "invalid_credentials");
    }
    michel.log_in().await.ok();
}

#[tokio::test]
async fn one_wrong_password_at_every_expiry_of_the_lock_from_elsewhere_for_a_day_and_the_owner_still_logs_in() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let mut michel = app.provisional_account("michel.ranu").await;
    let log_in = async |michel: &mut Person<'_>, address: &str| {
        let body = michel.with_credentials();
        app.call_from(address, "authenticate-user-v2", body).await
    };
    log_in(&mut michel, "203.0.113.1").await.ok();
    let end = app.clock.now() + 24 * 3600;
    while app.clock.now() < end {
        let body = json!({ "username": "michel.ranu", "password": "wrong" });
        let answer = app.call_from("198.51.100.66", "authenticate-user-v2", body).await;
        if answer.status == 429 {
            app.clock.advance(wait(&answer));
        }
    }
    let body = json!({ "username": "michel.ranu", "password": "wrong" });
    app.call_from("198.51.100.66", "authenticate-user-v2", body).await;
    assert!(wait(&log_in(&mut michel, "192.0.2.9").await) <= 900);
    log_in(&mut michel, "203.0.113.1").await.ok();
}

#[tokio::test]
async fn the_last_three_addresses_of_complete_logins_keep_their_own_count() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let mut michel = app.provisional_account("michel.ranu").await;
    for address in ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"] {
        let body = michel.with_credentials();
        app.call_from(address, "authenticate-user-v2", body).await.ok();
    }
    let wrong = json!({ "username": "michel.ranu", "password": "wrong" });
    for _ in 0..5 {
        app.call_from("198.51.100.66", "authenticate-user-v2", wrong.clone()).await.problem(401, "invalid_credentials");
    }
    for (address, is_known) in
        [("203.0.113.1", false), ("203.0.113.2", true), ("203.0.113.3", true), ("203.0.113.4", true)]
    {
        let answer = app.call_from(address, "authenticate-user-v2", wrong.clone()).await;
        assert_eq!(answer.status, if is_known { 401 } else { 429 }, "{address}");
    }
    for _ in 0..4 {
        app.call_from("203.0.113.2", "authenticate-user-v2", wrong.clone()).await.problem(401, "invalid_credentials");
    }
    wait(&app.call_from("203.0.113.2", "authenticate-user-v2", wrong.clone()).await);
    let body = michel.with_credentials();
    app.call_from("203.0.113.3", "authenticate-user-v2", body).await.ok();
}

#[tokio::test]
async fn an_unlocked_account_has_no_failures_from_anywhere() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let mut michel = app.provisional_account("michel.ranu").await;
    let body = michel.with_credentials();
    app.call_from("203.0.113.1", "authenticate-user-v2", body).await.ok();
    let wrong = json!({ "username": "michel.ranu", "password": "wrong" });
    for address in ["203.0.113.1", "198.51.100.66"] {
        for _ in 0..5 {
            app.call_from(address, "authenticate-user-v2", wrong.clone()).await.problem(401, "invalid_credentials");
        }
    }
    app.administer("michel.ranu", "unlock").await.ok();
    for address in ["203.0.113.1", "198.51.100.66"] {
        app.call_from(address, "authenticate-user-v2", wrong.clone()).await.problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn a_limit_of_0_is_none() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.provisional_account("michel.ranu").await;
    for _ in 0..40 {
        app.authenticate("michel.ranu", &michel.password, "00000").await.problem(403, "mfa_enrollment_required");
    }
    michel.log_in().await.ok();
    assert_eq!(app.database.count("SELECT count(*) FROM throttles").await, 0);
}

#[tokio::test]
async fn counts_are_kept_under_digests_and_idle_ones_disappear_without_a_cron() {
    let app = TestApp::start().await;
    for round in 0..12 {
        fail(&app, &format!("canary-{round}")).await.problem(401, "invalid_credentials");
    }
    let throttles = app.database.text("SELECT string_agg(to_jsonb(t)::text, ' ') FROM throttles t").await;
    assert!(!throttles.contains("canary") && !throttles.contains("127.0.0.1"), "{throttles}");
    assert_eq!(app.database.count("SELECT count(*) FROM throttles").await, 13);
    app.clock.advance(31 * 24 * 3600);
    for round in 0..4 {
        fail(&app, &format!("another-{round}")).await.problem(401, "invalid_credentials");
    }
    assert_eq!(app.database.count("SELECT count(*) FROM throttles").await, 5);
}

#[tokio::test]
async fn what_an_address_may_not_try_any_more_does_not_count_for_the_name() {
    let app =
        TestApp::start_with(Settings::variable("ip_failures_limit", "3").and("account_failures_limit", "4")).await;
    let _ = app.active_account("michel.ranu").await;
    for _ in 0..3 {
        fail(&app, "michel.ranu").await.problem(401, "invalid_credentials");
    }
    for _ in 0..5 {
        wait(&fail(&app, "michel.ranu").await);
    }
    app.clock.advance(300);
    fail(&app, "michel.ranu").await.problem(401, "invalid_credentials");
}

/// What is refused by an insert alone was not judged: no hash was computed for it.
#[tokio::test]
async fn nothing_is_hashed_for_a_name_that_waits_whether_it_exists_or_not() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    app.create_account("somebody", CHOSEN_PASSWORD).await.ok();
    for name in ["somebody", "nobody"] {
        for _ in 0..5 {
            app.begin_login(name, "wrong").await.problem(401, "invalid_credentials");
        }
        for function in ["authentication", "generate-password", "generate-2fa", "verify-2fa"] {
            wire.take_statements();
            let body = json!({ "username": name, "password": CHOSEN_PASSWORD, "token": "000000" });
            app.call(function, body).await.problem(429, "too_many_attempts");
            let statements = wire.take_statements();
            assert!(statements[1].starts_with("/* refuse_locked */"), "{function} {name}: {statements:#?}");
        }
    }
}

/// A hundred days ahead for an hour, then mended: nobody is locked out for longer than the ordinary locks.
#[tokio::test]
async fn a_clock_that_ran_ahead_and_was_mended_locks_nobody_out() {
    const AHEAD: i64 = 100 * 24 * 3600;
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let mut locked = app.active_account("locked.out").await;
    app.clock.advance(AHEAD);
    michel.log_in().await.ok();
    let young = app.provisional_account("young.one").await;
    for _ in 0..5 {
        app.authenticate("locked.out", "wrong", "000000").await.problem(401, "invalid_credentials");
    }
    for attempt in 5..30 {
        app.authenticate(&format!("nobody.{attempt}"), "wrong", "000000").await.problem(401, "invalid_credentials");
    }
    app.authenticate("michel.ranu", &michel.password, "000000").await.problem(429, "too_many_attempts");
    locked.log_in().await.problem(429, "too_many_attempts");

    app.clock.advance(-AHEAD);
    // The step that was used lies in the future: it counts as the present one, which is used up.
    let now = app.clock.now();
    let present = app.authenticate("michel.ranu", &michel.password, michel.code_at(now)).await;
    present.problem(401, "invalid_credentials");
    let next = michel.code_at(now + 30);
    app.authenticate("michel.ranu", &michel.password, next.clone()).await.ok();
    app.authenticate("michel.ranu", &michel.password, next).await.problem(401, "invalid_credentials");
    let code = locked.code_at(now + 30);
    app.authenticate("locked.out", &locked.password, code).await.ok();
    // Born in the future is born long ago.
    let code = young.code_at(now + 30);
    app.authenticate("young.one", &young.password, code).await.problem(403, "password_expired");
    app.clock.advance(60);
    let code = michel.code_at(app.clock.now());
    app.authenticate("michel.ranu", &michel.password, code).await.ok();
}

#[tokio::test]
async fn an_operator_frees_an_address_and_nobody_else_does() {
    let app = TestApp::start_with(Settings::behind_a_proxy()).await;
    let address = "2001:db8::1";
    for attempt in 0..30 {
        let body = json!({ "username": format!("nobody{attempt}"), "password": "x" });
        app.call_from(address, "authenticate-user-v2", body).await.problem(401, "invalid_credentials");
    }
    let body = json!({ "username": "anybody", "password": "x" });
    let locked = app.call_from(address, "authenticate-user-v2", body.clone()).await.problem(429, "too_many_attempts");
    assert_eq!(locked["scope"], "address");
    let free = json!({ "action": "unlock", "address": "2001:db8::ffff" });
    app.call("administer-account", free.clone()).await.problem(401, "invalid_token");
    for (changed, value) in [("action", "disable"), ("address", "everywhere"), ("address", "192.0.2.0/24")] {
        let mut body = free.clone();
        body[changed] = value.into();
        let problem = app.call_as(ADMIN_TOKEN, "administer-account", body).await.problem(400, "invalid_field");
        assert!(problem["error"].as_str().unwrap().contains("address"), "{problem}");
    }
    let mut both = free.clone();
    both["username"] = "anybody".into();
    app.call_as(ADMIN_TOKEN, "administer-account", both).await.problem(400, "invalid_field");
    let freed = app.call_as(ADMIN_TOKEN, "administer-account", free).await.ok().0;
    assert_eq!(freed, json!({ "success": true, "address": "2001:db8::ffff", "message": "Adresse déverrouillée" }));
    app.call_from(address, "authenticate-user-v2", body).await.problem(401, "invalid_credentials");
    let row = "SELECT details ->> 'address' FROM auth_logs_v2 WHERE action = 'address_unlocked' AND success";
    assert_eq!(app.database.text(row).await, "2001:db8::ffff");
}

/// With the database alone nobody finds out whose the counts and places are by trying all names and addresses.
#[tokio::test]
async fn what_is_counted_has_another_name_under_another_key() {
    let subjects = "SELECT string_agg(concat_ws(' ', t.subject, t.place, u.generated_from), ' ' ORDER BY t.subject)
                    FROM throttles t, users_v2 u";
    let mut found = Vec::new();
    for key in [KEY.as_str(), "YW5vdGhlciBrZXksIGZvciB0aGUgcm90YXRpb24gLi4="] {
        let app =
            TestApp::start_with(Settings::variables([("encryption_key".to_owned(), key.to_owned())].into())).await;
        app.generate_password("michel.ranu").await.ok();
        app.authenticate("michel.ranu", "wrong", "123456").await.problem(401, "invalid_credentials");
        found.extend(
            app.database.text(subjects).await.split(' ').map(str::to_owned).collect::<std::collections::BTreeSet<_>>(),
        );
    }
    let different: std::collections::BTreeSet<_> = found.iter().filter(|subject| !subject.is_empty()).collect();
    assert_eq!(different.len(), 8, "{found:?}");
}
