//! Many requests at once: the second statement has the last word.

use super::{fail, judged, wait};
use cofrap_tests::{Settings, TestApp};
use serde_json::Value;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn of_200_parallel_wrong_passwords_at_most_5_are_judged() {
    let app = Arc::new(TestApp::start().await);
    for (round, name) in (0..20).map(|round| (round, format!("michel.{round}"))) {
        if round % 2 == 0 {
            app.provisional_account(&name).await;
        }
        let before = judged(&app).await;
        let attempts: Vec<_> = (0..200)
            .map(|_| {
                let (app, name) = (Arc::clone(&app), name.clone());
                tokio::spawn(async move { fail(&app, &name).await })
            })
            .collect();
        let mut refused = 0;
        for attempt in attempts {
            let answer = attempt.await.unwrap();
            match answer.status {
                401 => refused += 1,
                _ => assert!((1..=900).contains(&wait(&answer))),
            }
        }
        assert_eq!(refused, 5, "round {round}");
        assert_eq!(judged(&app).await - before, 5, "round {round}");
        // The address has its own limit.
        app.clock.advance(300);
        assert_eq!(app.attempts(&format!("details ->> 'username' = '{name}' AND action = 'login'")).await, 200);
    }
}

/// A million codes, the right one among them: only as many as the limit allows are worth anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_guess_among_parallel_ones_is_judged_within_the_limit_too() {
    let app = Arc::new(TestApp::start_with(Settings::variable("ip_failures_limit", "0")).await);
    for round in 0..20 {
        let name = format!("michel.{round}");
        let mut michel = app.provisional_account(&name).await;
        // The first complete login, and the usual one.
        if round % 2 == 0 {
            michel.log_in().await.ok();
            app.clock.advance(60);
        }
        let (password, right) = (michel.password.clone(), michel.code_at(app.clock.now()));
        let attempts: Vec<_> = (0..60)
            .map(|attempt| {
                let code = if attempt == 40 { right.clone() } else { format!("{:06}", attempt * 7 + 1) };
                let (app, name, password) = (Arc::clone(&app), name.clone(), password.clone());
                tokio::spawn(async move { app.authenticate(&name, &password, code).await.status })
            })
            .collect();
        for attempt in attempts {
            assert!([200, 401, 403, 429].contains(&attempt.await.unwrap()));
        }
        let before_success = format!(
            "SELECT count(*) FROM auth_logs_v2 wrong, auth_logs_v2 success
             WHERE wrong.details ->> 'username' = '{name}' AND wrong.details ->> 'reason' = 'wrong_code'
                   AND success.details ->> 'username' = '{name}' AND success.action = 'login' AND success.success
                   AND wrong.id < success.id"
        );
        assert!(app.database.count(&before_success).await <= 4, "round {round}");
    }
}

/// Pairs of names and passwords from one address, 20 right ones among them: once 30 were wrong, the right ones say nothing either.
#[tokio::test(flavor = "multi_thread")]
async fn of_200_parallel_pairs_from_one_address_30_wrong_ones_end_the_judging() {
    let app = Arc::new(TestApp::start_with(Settings::variable("ip_generations_limit", "0")).await);
    let mut right = Vec::new();
    for number in 0..20 {
        let name = format!("michel.{number}");
        let password = app.generate_password(&name).await.ok().read_qr_code();
        right.push((name, password));
    }
    let attempts: Vec<_> = (0..200)
        .map(|number| {
            let wrong = || (format!("nobody.{number}"), "wrong".to_owned());
            let pair = if number % 10 == 5 { right[number / 10].clone() } else { wrong() };
            let app = Arc::clone(&app);
            tokio::spawn(async move { app.begin_login(&pair.0, &pair.1).await.status })
        })
        .collect();
    let mut wrong = 0;
    for attempt in attempts {
        match attempt.await.unwrap() {
            401 => wrong += 1,
            // Where the machine has more to do, some wait too long for the address's lock: then nothing was judged.
            status => assert!([200, 429, 503].contains(&status)),
        }
    }
    assert!((1..=30).contains(&wrong), "{wrong}");
    let late_success = "SELECT count(*) FROM auth_logs_v2 l WHERE l.success AND l.action = 'password_verified' AND (
                            SELECT count(*) FROM auth_logs_v2 b WHERE b.id < l.id AND b.details ->> 'reason' = 'unknown_user') > 30";
    assert_eq!(app.database.count(late_success).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_300_parallel_wrong_codes_behind_a_right_password_at_most_20_are_judged() {
    let settings = Settings::variable("account_failures_limit", "0").and("ip_failures_limit", "0");
    let app = Arc::new(TestApp::start_with(settings).await);
    for round in 0..5 {
        let name = format!("michel.{round}");
        let michel = app.provisional_account(&name).await;
        let (password, right) = (michel.password.clone(), michel.code_at(app.clock.now()));
        let attempts: Vec<_> = (0..300)
            .map(|attempt| {
                let code = if attempt == 250 { right.clone() } else { "00000".to_owned() };
                let (app, name, password) = (Arc::clone(&app), name.clone(), password.clone());
                tokio::spawn(async move { app.authenticate(&name, &password, code).await.status })
            })
            .collect();
        let (mut wrong, mut right) = (0, 0);
        for attempt in attempts {
            match attempt.await.unwrap() {
                // Of an account that nobody has logged in to, that it may enrol anew.
                401 | 403 => wrong += 1,
                200 => right += 1,
                status => assert_eq!(status, 429),
            }
        }
        // A success ends the row: at most the limit before it, and the limit after it; a late right code is a 401 of its own.
        assert!(wrong <= if right == 1 { 39 } else { 21 }, "round {round}: {wrong} wrong, {right} right");
    }
}

/// Of an account whose second factor no login has proven, a right password without a code is told apart from a wrong one: as often as the
/// limit allows, and no further.
#[tokio::test]
async fn of_200_parallel_passwords_without_a_code_the_right_one_is_told_within_the_limit() {
    let app = Arc::new(TestApp::start_with(Settings::variable("ip_failures_limit", "0")).await);
    for round in 0..20 {
        let name = format!("michel.{round}");
        let michel = app.provisional_account(&name).await;
        let attempts: Vec<_> = (0..200)
            .map(|attempt| {
                let password = if attempt == 150 { michel.password.clone() } else { format!("wrong {attempt}") };
                let (app, name) = (Arc::clone(&app), name.clone());
                tokio::spawn(async move { app.authenticate(&name, &password, Value::Null).await.status })
            })
            .collect();
        for attempt in attempts {
            assert!([401, 403, 429].contains(&attempt.await.unwrap()));
        }
        let judged = format!(
            "SELECT count(*) FROM auth_logs_v2
             WHERE details ->> 'username' = '{name}' AND details ->> 'reason' IN ('wrong_password', 'missing_code')"
        );
        assert!(app.database.count(&judged).await <= 6, "round {round}");
    }
}
