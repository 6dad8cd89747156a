//! What happens between a request's two statements: the second sees it, and nothing is half done.

use cofrap_tests::{Answer, MAX_AGE, TestApp, Wire};
use serde_json::json;

/// Only calls that do something have as many parameters.
const CHANGE: &str = "$7";

/// Changes that other requests, operators and programs make between two statements, to the only account.
const ACTIVATED: &str = "UPDATE users_v2 SET state = 'active'";
const PASSWORD_REPLACED: &str = "UPDATE users_v2 SET password_generation = password_generation + 1";
const SECOND_FACTOR_REPLACED: &str = "UPDATE users_v2 SET mfa_generation = mfa_generation + 1";
const SECOND_FACTOR_WRITTEN: &str = "UPDATE users_v2 SET mfa = 'x'";
const MARKED: &str = "UPDATE users_v2 SET expired = TRUE";
/// `{step}` is the step of the moment.
const CODE_USED: &str = "UPDATE users_v2 SET mfa_last_step = {step}";
const DELETED: &str = "DELETE FROM users_v2";

/// Changes what is stored, at the moment that it is asked for.
async fn make(app: &TestApp, change: &str) {
    let step = app.clock.now().div_euclid(30);
    app.database.client.batch_execute(&change.replace("{step}", &step.to_string())).await.unwrap();
}

/// Runs a request with another change before its own; the change must be all that happened, and the audit must know.
async fn interrupted(app: &TestApp, wire: &Wire, change: &str, request: impl Future<Output = Answer>) -> Answer {
    let accounts = "SELECT coalesce(string_agg(to_jsonb(u)::text, E'\\n'), '') FROM users_v2 u";
    let history = "SELECT count(*) FROM password_history_v2 WHERE NOT expired";
    let answer = wire.interrupt(CHANGE, request, make(app, change)).await;
    let (after, kept) = (app.database.text(accounts).await, app.database.count(history).await);

    assert!(
        after.is_empty() || change.contains("'active'") == after.contains("\"state\": \"active\""),
        "{change}: {after}"
    );
    assert_eq!(kept, i64::from(!after.is_empty()), "{change}");
    let last = "SELECT concat_ws(' ', success, details ->> 'reason') FROM auth_logs_v2 ORDER BY id DESC LIMIT 1";
    // What is stored otherwise, and nothing else, is judged once more.
    let is_judged_anew = change.contains("= NULL");
    let expected = if is_judged_anew { "f unreadable_secret" } else { "f overtaken" };
    assert_eq!(app.database.text(last).await, expected, "{change}");
    answer
}

async fn stored(app: &TestApp, column: &str) -> String {
    app.database.text(&format!("SELECT coalesce((SELECT {column}::text FROM users_v2), 'none')")).await
}

/// What is stored of an account after a change: nothing, where the change deletes it.
fn unless_deleted<'a>(change: &str, kept: &'a str) -> &'a str {
    if change == DELETED { "none" } else { kept }
}

#[tokio::test]
async fn starting_over_is_overtaken_by_a_login_a_new_password_and_a_new_second_factor() {
    for change in [ACTIVATED, PASSWORD_REPLACED, SECOND_FACTOR_REPLACED, DELETED] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        app.provisional_account("michel.ranu").await;
        let before = stored(&app, "password").await;
        interrupted(&app, &wire, change, app.generate_password("michel.ranu")).await.problem(409, "overtaken");
        assert_eq!(stored(&app, "password").await, unless_deleted(change, &before), "{change}");
    }
}

#[tokio::test]
async fn an_enrolment_is_overtaken_by_a_login_a_new_password_and_another_enrolment() {
    for change in [ACTIVATED, PASSWORD_REPLACED, SECOND_FACTOR_REPLACED, SECOND_FACTOR_WRITTEN, DELETED] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        app.generate_password("michel.ranu").await.ok();
        interrupted(&app, &wire, change, app.generate_mfa("michel.ranu")).await.problem(409, "overtaken");
        let expected = if change == SECOND_FACTOR_WRITTEN { "x" } else { "none" };
        assert_eq!(stored(&app, "coalesce(mfa, 'none')").await, expected, "{change}");
    }
}

#[tokio::test]
async fn a_login_is_overtaken_by_new_credentials_a_mark_and_the_code_s_other_use() {
    for change in [PASSWORD_REPLACED, SECOND_FACTOR_REPLACED, MARKED, CODE_USED, DELETED] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let mut michel = app.provisional_account("michel.ranu").await;
        interrupted(&app, &wire, change, michel.log_in()).await.problem(401, "invalid_credentials");
        assert_eq!(stored(&app, "state").await, unless_deleted(change, "provisional"), "{change}");
    }
}

/// Its one write finds another version of the row, and leaves the word to the function that locks and compares.
#[tokio::test]
async fn a_usual_login_is_overtaken_by_the_same() {
    for change in [PASSWORD_REPLACED, SECOND_FACTOR_REPLACED, MARKED, CODE_USED, DELETED] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let mut michel = app.active_account("michel.ranu").await;
        app.clock.advance(60);
        let answer = wire.interrupt(CHANGE, michel.log_in(), make(&app, change)).await;
        answer.problem(401, "invalid_credentials");
        let last = "SELECT concat_ws(' ', success, details ->> 'reason') FROM auth_logs_v2 ORDER BY id DESC LIMIT 1";
        assert_eq!(app.database.text(last).await, "f overtaken", "{change}");
        assert_eq!(stored(&app, "login_counter").await, unless_deleted(change, "1"), "{change}");
    }
}

/// Two hosts' clocks differ, and the one ahead has used the next code but one: the row says so, though the one behind cannot believe it.
#[tokio::test]
async fn a_usual_login_uses_no_step_before_one_that_was_used() {
    let app = TestApp::start().await;
    let michel = app.active_account("michel.ranu").await;
    app.clock.advance(60);
    let now = app.clock.now();
    make(&app, &format!("UPDATE users_v2 SET mfa_last_step = {}", now.div_euclid(30) + 2)).await;
    let answer = app.authenticate("michel.ranu", &michel.password, michel.code_at(now + 30)).await;
    answer.problem(401, "invalid_credentials");
    assert_eq!(stored(&app, "mfa_last_step").await, (now.div_euclid(30) + 2).to_string());
}

/// A row that was written without any change that matters, and a failure of the name: both are another version of the row.
#[tokio::test]
async fn a_usual_login_goes_on_beside_what_does_not_overtake_it() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(60);
    wire.interrupt(CHANGE, michel.log_in(), make(&app, "UPDATE users_v2 SET updated_at = updated_at")).await.ok();
    app.clock.advance(60);
    let failure = app.authenticate("michel.ranu", "wrong", "123456");
    wire.interrupt(CHANGE, michel.log_in(), failure).await.ok();
    assert_eq!(stored(&app, "login_counter").await, "3");
    // The failure is ended by the login, as one that came before it is.
    // Names are remembered longer than anything else.
    let counted = "SELECT count(*) FROM throttles WHERE failures > 0 AND idle_at > since + 86400";
    assert_eq!(app.database.count(counted).await, 0);
}

#[tokio::test]
async fn a_usual_login_is_refused_where_its_address_reached_the_limit_meanwhile() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.clock.advance(60);
    app.authenticate("nobody", "wrong", "123456").await.problem(401, "invalid_credentials");
    let reached = make(&app, "UPDATE throttles SET failures = 30 WHERE place = ''");
    wire.interrupt(CHANGE, michel.log_in(), reached).await.problem(429, "too_many_attempts");
    assert_eq!(stored(&app, "login_counter").await, "1");
}

#[tokio::test]
async fn a_late_login_is_overtaken_by_new_credentials_and_the_code_s_other_use() {
    for change in [PASSWORD_REPLACED, SECOND_FACTOR_REPLACED, CODE_USED, DELETED] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let mut michel = app.provisional_account("michel.ranu").await;
        app.clock.advance(MAX_AGE + 1);
        interrupted(&app, &wire, change, michel.log_in()).await.problem(401, "invalid_credentials");
        assert_eq!(stored(&app, "expired").await, unless_deleted(change, "false"), "{change}");
    }
}

#[tokio::test]
async fn a_creation_is_overtaken_by_another_of_the_same_name_in_any_case() {
    for other in ["michel.ranu", "Michel.Ranu"] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let insert = format!(
            "INSERT INTO users_v2 (username, username_key, password, gendate) VALUES ('{other}', 'michel.ranu', 'x', 0)"
        );
        let request = app.generate_password("michel.ranu");
        let answer = wire.interrupt(CHANGE, request, app.database.client.batch_execute(&insert)).await;
        answer.problem(409, "overtaken");
        assert_eq!(stored(&app, "password").await, "x");
        assert_eq!(app.database.count("SELECT count(*) FROM password_history_v2").await, 0);
    }
}

#[tokio::test]
async fn a_refusal_of_an_account_that_is_gone_by_now_keeps_its_audit_row() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    app.active_account("michel.ranu").await;
    let request = app.authenticate("michel.ranu", "wrong", "123456");
    let answer = wire.interrupt(CHANGE, request, app.database.client.batch_execute(DELETED)).await;
    answer.problem(401, "invalid_credentials");
    let rows = "SELECT count(*) FROM auth_logs_v2 WHERE user_id IS NULL AND details ->> 'reason' = 'wrong_password'";
    assert_eq!(app.database.count(rows).await, 1);
}

/// Runs a generation by proof with another change before its own: 409, and nothing of the credentials changed.
async fn overtaken_generation(function: &str, proof: &str, change: &str) {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.active_account("michel.ranu").await;
    let columns = "concat_ws(' ', password, mfa, pending_mfa)";
    let session = michel.session().await;
    let body = match proof {
        "credentials" => michel.with_credentials(),
        _ => json!({ "username": "michel.ranu" }),
    };
    let before = stored(&app, columns).await;
    let bearer = if proof == "session" { session.as_str() } else { "" };
    let request = app.call_as(bearer, function, body);
    wire.interrupt(CHANGE, request, make(&app, change)).await.problem(409, "overtaken");
    assert_eq!(stored(&app, columns).await, before, "{function} by {proof}: {change}");
}

#[tokio::test]
async fn a_generation_by_proof_is_overtaken_by_whatever_the_proof_stands_on() {
    for function in ["generate-password-v2", "generate-2fa-v2"] {
        for change in [
            "UPDATE users_v2 SET login_counter = login_counter + 1",
            "UPDATE users_v2 SET security_counter = security_counter + 1",
            "UPDATE users_v2 SET session_epoch = session_epoch + 1",
            MARKED,
            PASSWORD_REPLACED,
        ] {
            overtaken_generation(function, "session", change).await;
        }
        overtaken_generation(function, "credentials", CODE_USED).await;
        overtaken_generation(function, "credentials", "UPDATE users_v2 SET otp_failures = 20").await;
    }
}

#[tokio::test]
async fn a_login_is_overtaken_by_an_operator_s_action_and_by_other_programs_writes() {
    for change in [
        "UPDATE users_v2 SET security_counter = security_counter + 1",
        "UPDATE users_v2 SET password = 'x', password_key = NULL, password_binding = NULL",
        "UPDATE users_v2 SET mfa = 'x', mfa_key = NULL, mfa_binding = NULL",
        "UPDATE users_v2 SET otp_failures = 20",
    ] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let mut michel = app.provisional_account("michel.ranu").await;
        interrupted(&app, &wire, change, michel.log_in()).await.problem(401, "invalid_credentials");
        assert_eq!(stored(&app, "state").await, "provisional", "{change}");
    }
}

/// A rotation between the two statements changes how secrets are stored, and nothing about who may log in.
#[tokio::test]
async fn a_right_login_beside_a_rotation_is_judged_once_more_and_right() {
    for way in ["at once", "first step", "second step", "late"] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let mut michel = app.active_account("michel.ranu").await;
        let secret = app.unseal(stored(&app, "mfa").await);
        let (password, secret) = (app.fernet(&michel.password), app.fernet(&secret));
        let sealed_anew = format!(
            "UPDATE users_v2 SET password = '{password}', password_key = NULL, password_binding = NULL, mfa = '{secret}',
                                 mfa_key = NULL, mfa_binding = NULL"
        );
        let change = app.database.client.batch_execute(&sealed_anew);
        let attempts = app.database.count("SELECT count(*) FROM auth_logs_v2").await;
        match way {
            "at once" => drop(wire.interrupt(CHANGE, michel.log_in(), change).await.ok()),
            "first step" => {
                drop(wire.interrupt(CHANGE, app.begin_login("michel.ranu", &michel.password), change).await.ok());
            }
            "second step" => {
                let code = michel.fresh_code();
                drop(wire.interrupt(CHANGE, app.verify_code("michel.ranu", &code), change).await.ok());
            }
            _ => {
                app.clock.advance(MAX_AGE + 1);
                wire.interrupt(CHANGE, michel.log_in(), change).await.problem(403, "password_expired");
            }
        }
        assert_eq!(app.database.count("SELECT count(*) FROM auth_logs_v2").await, attempts + 1, "{way}");
    }
}

#[tokio::test]
async fn a_waiting_second_factor_is_not_put_in_force_when_another_one_waits_by_now() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.active_account("michel.ranu").await;
    let session = michel.session().await;
    let uri = app.call_as(&session, "generate-2fa-v2", json!({ "username": "michel.ranu" })).await.ok().read_qr_code();
    app.clock.advance(30);
    let mut other = michel.with_second_factor(&uri);
    let change = "UPDATE users_v2 SET pending_mfa = 'x'";
    let request = other.log_in();
    wire.interrupt(CHANGE, request, app.database.client.batch_execute(change))
        .await
        .problem(401, "invalid_credentials");
    assert_eq!(stored(&app, "pending_mfa").await, "x");
}

#[tokio::test]
async fn a_late_login_never_makes_an_active_account_provisional_again() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    app.clock.advance(MAX_AGE + 1);
    wire.interrupt(CHANGE, michel.log_in(), app.database.client.batch_execute(ACTIVATED))
        .await
        .problem(403, "password_expired");
    assert_eq!(stored(&app, "state").await, "active");
}

#[tokio::test]
async fn a_session_that_ends_meanwhile_is_neither_renewed_nor_ended_again() {
    for method in [http::Method::POST, http::Method::DELETE] {
        for change in ["UPDATE users_v2 SET session_epoch = session_epoch + 1", "UPDATE users_v2 SET disabled_at = 1"] {
            let (app, wire) = TestApp::start_on_a_wire().await;
            let session = app.active_account("michel.ranu").await.session().await;
            let request = app.request_as(&session, method.clone(), "/function/session");
            wire.interrupt(CHANGE, request, app.database.client.batch_execute(change))
                .await
                .problem(401, "invalid_token");
        }
    }
}

#[tokio::test]
async fn a_rotation_never_writes_over_what_changed_meanwhile() {
    for change in [
        "UPDATE users_v2 SET password = 'x', password_key = NULL, password_binding = NULL",
        "UPDATE users_v2 SET mfa = 'x', mfa_key = NULL, mfa_binding = NULL",
        "UPDATE users_v2 SET pending_mfa = 'x'",
        "UPDATE users_v2 SET state = 'provisional'",
        "UPDATE users_v2 SET operator_touched = TRUE",
        "UPDATE users_v2 SET disabled_at = 1",
    ] {
        let (app, wire) = TestApp::start_on_a_wire().await;
        let _ = app.active_account("michel.ranu").await;
        let unkeyed = "UPDATE users_v2 SET standing_key = NULL; UPDATE password_history_v2 SET password_key = NULL";
        app.database.client.batch_execute(unkeyed).await.unwrap();
        let both = format!("{change}; UPDATE password_history_v2 SET password = 'x'");
        let request = app.call_as(cofrap_tests::ADMIN_TOKEN, "rotate-keys", json!({}));
        let answer = wire.interrupt(CHANGE, request, app.database.client.batch_execute(&both)).await.ok().0;
        assert_eq!(answer["moved"], 0, "{change}");
        assert_eq!(stored(&app, "coalesce(standing_key, 'none')").await, "none", "{change}");
        assert_eq!(app.database.count("SELECT count(*) FROM password_history_v2 WHERE password = 'x'").await, 1);
    }
}

#[tokio::test]
async fn a_right_password_or_code_alone_is_overtaken_by_whatever_it_was_judged_on() {
    for change in [
        PASSWORD_REPLACED,
        SECOND_FACTOR_REPLACED,
        DELETED,
        "UPDATE users_v2 SET security_counter = security_counter + 1",
        "UPDATE users_v2 SET password = 'x', password_key = NULL, password_binding = NULL",
        "UPDATE users_v2 SET mfa = 'x', mfa_key = NULL, mfa_binding = NULL",
        "UPDATE users_v2 SET otp_failures = 20",
    ] {
        // Each factor is judged for itself: what is stored of the other one otherwise changes nothing.
        if !change.contains("SET mfa = 'x'") {
            let (app, wire) = TestApp::start_on_a_wire().await;
            let michel = app.provisional_account("michel.ranu").await;
            let first = app.begin_login("michel.ranu", &michel.password);
            interrupted(&app, &wire, change, first).await.problem(401, "invalid_credentials");
        }
        if !change.contains("SET password = 'x'") {
            let (app, wire) = TestApp::start_on_a_wire().await;
            let mut michel = app.provisional_account("michel.ranu").await;
            let code = michel.fresh_code();
            let second = app.verify_code("michel.ranu", &code);
            interrupted(&app, &wire, change, second).await.problem(401, "invalid_credentials");
        }
    }
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    let code = michel.fresh_code();
    let request = app.verify_code("michel.ranu", &code);
    interrupted(&app, &wire, CODE_USED, request).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_challenge_completes_one_login_also_with_two_codes_at_once() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let michel = app.chosen_account("michel.ranu").await;
    let challenge = michel.challenge().await;
    let [earlier, later] = [0, 30].map(|ahead| michel.code_at(app.clock.now() + ahead));
    let first = async { app.complete_login("michel.ranu", &earlier, &challenge).await.ok() };
    let second = app.complete_login("michel.ranu", &later, &challenge);
    wire.interrupt(CHANGE, second, first).await.problem(401, "invalid_credentials");
    assert_eq!(stored(&app, "login_counter").await, "1");
}

#[tokio::test]
async fn a_challenge_gives_one_renewal_also_with_two_codes_at_once() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    let mut michel = app.chosen_account("michel.ranu").await;
    michel.log_in().await.ok();
    app.clock.advance(MAX_AGE + 1);
    let challenge = michel.challenge().await;
    let [earlier, later] = [0, 30].map(|ahead| michel.code_at(app.clock.now() + ahead));
    let first = async {
        app.complete_login("michel.ranu", &earlier, &challenge).await.problem(403, "password_expired");
        // The mark is one thing that the second would stumble over, the login counter another.
        app.database.client.batch_execute("UPDATE users_v2 SET expired = FALSE, expired_since = NULL").await.unwrap();
    };
    let second = app.complete_login("michel.ranu", &later, &challenge);
    wire.interrupt(CHANGE, second, first).await.problem(401, "invalid_credentials");
    assert_eq!(stored(&app, "login_counter").await, "2");
}
