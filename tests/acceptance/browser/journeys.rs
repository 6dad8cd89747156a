//! Journeys that used to end in silence or at the start: the other phone's code, a sign-up that broke off, a second tab.

use super::{at_the_dashboard, fill_login, give_code, keep_password, log_in, sign_up};
use cofrap_tests::{Browser, Language, MAX_AGE, Person, STEP, Settings, TestApp};
use http::HeaderValue;
use http_body_util::Full;
use serde_json::json;

/// From the dashboard to the first code of another phone; who has that phone.
async fn change_phone<'a>(browser: &Browser, michel: &Person<'a>) -> Person<'a> {
    browser.press_on("dashboard.new_second_factor").await;
    browser.arrive("/generate-2fa").await;
    browser.press_on("generate_2fa.submit").await;
    let uri = browser.read_qr_code().await;
    browser.press_on("layout.continue").await;
    browser.arrive("/check-2fa").await;
    browser.hear_key("[data-lead]", "check_2fa.new_phone").await;
    michel.with_second_factor(&uri)
}

async fn type_code(browser: &Browser, person: &mut Person<'_>) {
    if browser.sees("#password").await {
        browser.fill("password", &person.password).await;
    }
    browser.fill("code", &person.fresh_code()).await;
    browser.press_on("check_2fa.submit").await;
}

#[tokio::test]
async fn the_old_phone_s_code_does_not_pass_for_a_change_of_phone() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let (browser, mut michel) = at_the_dashboard(&app, language).await;
        let mut new = change_phone(&browser, &michel).await;
        type_code(&browser, &mut michel).await;
        browser.hear_key("[role=alert]", "check_2fa.code.old_phone").await;
        assert_eq!(browser.focused().await, "code");
        assert_eq!(browser.run("return document.querySelector('#code').value", &[]).await, "");
        browser.check_view("check-2fa-old-phone").await;
        app.clock.advance(STEP);
        type_code(&browser, &mut new).await;
        browser.arrive("/dashboard").await;
        browser.hear_key("[data-status]", "dashboard.did.phone").await;
        assert!(!browser.sees("[data-pending]").await);
        browser.leave().await;
    }
}

#[tokio::test]
async fn a_phone_that_waits_is_shown_and_finished_or_dropped() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let (browser, mut michel) = at_the_dashboard(&app, language).await;
        let mut new = change_phone(&browser, &michel).await;
        browser.visit("/dashboard").await;
        browser.see("[data-pending]").await;
        browser.check_view("dashboard-phone-waits").await;
        browser.press_on("dashboard.finish").await;
        browser.arrive("/check-2fa").await;
        browser.hear_key("[data-lead]", "check_2fa.new_phone").await;
        app.clock.advance(STEP);
        type_code(&browser, &mut new).await;
        browser.arrive("/dashboard").await;
        browser.hear_key("[data-status]", "dashboard.did.phone").await;

        michel = new;
        let mut never = change_phone(&browser, &michel).await;
        browser.visit("/dashboard").await;
        browser.press_on("dashboard.cancel").await;
        browser.hear_key("[data-status]", "dashboard.cancelled").await;
        assert!(!browser.sees("[data-pending]").await);
        app.clock.advance(STEP);
        never.log_in().await.problem(401, "invalid_credentials");
        app.clock.advance(STEP);
        michel.log_in().await.ok();
        browser.leave().await;
    }
}

#[tokio::test]
async fn the_old_entry_s_code_does_not_void_a_renewal() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let mut michel = app.active_account("michel.ranu").await;
        let browser = Browser::open(&app, language).await;
        app.clock.advance(MAX_AGE + 1);
        log_in(&browser, &mut michel).await;
        browser.press_on("login.renew.button").await;
        browser.arrive("/generate-password").await;
        let left = language.text("layout.left.other").replace("{number}", "15");
        browser.hear("[data-left]", &left).await;
        michel.password = keep_password(&browser).await;
        browser.press_on("layout.continue").await;
        browser.arrive("/generate-2fa").await;
        let mut new = michel.with_second_factor(&browser.read_qr_code().await);
        browser.press_on("layout.continue").await;
        browser.arrive("/check-2fa").await;
        type_code(&browser, &mut michel).await;
        browser.hear_key("[role=alert]", "check_2fa.code.old_entry").await;
        browser.check_view("check-2fa-old-entry").await;
        app.clock.advance(STEP);
        type_code(&browser, &mut new).await;
        browser.arrive("/dashboard").await;
        browser.hear_key("[data-status]", "dashboard.did.renewal").await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn a_renewal_that_took_too_long_says_what_to_do() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    app.clock.advance(MAX_AGE + 1);
    log_in(&browser, &mut michel).await;
    browser.press_on("login.renew.button").await;
    browser.arrive("/generate-password").await;
    michel.password = keep_password(&browser).await;
    app.clock.advance(901);
    browser.press_on("layout.continue").await;
    browser.hear_key("[data-continue] [role=alert]", "renewal.code.proof_required").await;
    // And that works.
    browser.run("addEventListener('beforeunload', (event) => event.stopImmediatePropagation(), true)", &[]).await;
    let other = Browser::open(&app, Language::French).await;
    log_in(&other, &mut michel).await;
    other.hear_key("#offer-title", "login.renew.title").await;
    other.leave().await;
}

#[tokio::test]
async fn a_sign_up_that_broke_off_goes_on_with_the_password() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let browser = Browser::open(&app, language).await;
        let mut michel = sign_up(&app, &browser, "michel.ranu").await;
        // The tab is gone, and with it the entry that was never made.
        let browser = Browser::open(&app, language).await;
        browser.visit("/login").await;
        browser.fill("username", "michel.ranu").await;
        browser.fill("password", &michel.password).await;
        browser.press_on("login.submit").await;
        browser.hear_key("#offer-title", "login.enrol.title").await;
        browser.press_on("login.enrol.button").await;
        browser.arrive("/generate-2fa").await;
        michel.scan(&browser.read_qr_code().await);
        browser.press_on("layout.continue").await;
        give_code(&browser, &mut michel).await;
        browser.hear_key("[data-status]", "dashboard.did.second_factor").await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn who_is_logged_in_is_seen_everywhere_and_may_end_one_session_alone() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let (browser, mut michel) = at_the_dashboard(&app, language).await;
        browser.hear("[data-sessions] li", &language.text("dashboard.this_session")).await;
        let elsewhere = michel.session().await;
        browser.visit("/login").await;
        browser.hear("main [data-logged-in]", "michel.ranu").await;
        browser.check_view("login-logged-in").await;
        browser.visit("/signup").await;
        browser.hear("main [data-logged-in]", "michel.ranu").await;
        browser.press_on("logout.submit").await;
        browser.arrive("/logout").await;
        browser.hear_key("[data-done-text]", "logout.done_here").await;
        assert!(!browser.sees("header [data-logged-in]").await);
        app.session(&elsewhere).await.ok();
        browser.leave().await;
    }
}

#[tokio::test]
async fn another_tab_notices_that_somebody_logged_out() {
    let app = TestApp::start().await;
    let (browser, _) = at_the_dashboard(&app, Language::French).await;
    browser.see("[data-sessions] li").await;
    let log_out =
        "await fetch('/function/session', { method: 'DELETE', headers: { 'Content-Type': 'application/json' } });
                   new BroadcastChannel('session').postMessage('changed')";
    browser.run_async(log_out, &[]).await;
    browser.arrive("/login").await;
    browser.hear_key("[data-status]", "login.session_over").await;
    browser.leave().await;
}

#[tokio::test]
async fn failures_since_the_last_login_are_counted_and_the_activity_is_short_at_first() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    for _ in 0..9 {
        app.authenticate("michel.ranu", "wrong", "000000").await;
    }
    // Four of them while the account was locked: one entry.
    app.let_minutes_pass().await;
    app.authenticate("nobody", "wrong", "000000").await.problem(401, "invalid_credentials");
    let browser = Browser::open(&app, Language::English).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    browser.hear("[data-since]", "Since your previous login: 9 failures, from 127.0.0.1.").await;
    browser.until("the four are one", async || browser.text("[data-activity]").await.contains("(4 times)")).await;
    let shown =
        "return [...document.querySelectorAll('[data-activity] li')].filter((item) => item.checkVisibility()).length";
    assert_eq!(browser.run(shown, &[]).await, 5);
    browser.press_on("dashboard.all_activity").await;
    browser.until("all of it", async || browser.run(shown, &[]).await.as_i64() > Some(5)).await;
    browser.leave().await;
}

#[tokio::test]
async fn a_code_is_typed_as_people_do() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/login").await;
    for write in [
        |code: &str| format!("{}-{}", &code[..3], &code[3..]),
        |code: &str| code.chars().map(|digit| char::from_u32(digit as u32 - '0' as u32 + 0x660).unwrap()).collect(),
    ] {
        fill_login_with(&browser, &mut michel, write).await;
        browser.arrive("/dashboard").await;
        browser.visit("/login").await;
    }
    fill_login(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    browser.leave().await;
}

async fn fill_login_with(browser: &Browser, person: &mut Person<'_>, write: impl Fn(&str) -> String) {
    browser.fill("username", &person.username).await;
    browser.fill("password", &person.password).await;
    browser.fill("code", &write(&person.fresh_code())).await;
    browser.press_on("login.submit").await;
}

#[tokio::test]
async fn password_managers_find_the_form_and_the_page_and_people_their_helpdesk() {
    let app = TestApp::start_with(Settings::default().and("helpdesk", "le%20support%20(poste%2042)")).await;
    let request = http::Request::get(app.url("/.well-known/change-password"));
    let (parts, _) = app.fetch(request.body(Full::default()).unwrap()).await;
    assert_eq!(
        (parts.status.as_u16(), &parts.headers["location"]),
        (302, &HeaderValue::from_static("/generate-password"))
    );
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/signup").await;
    browser.fill("username", "sophie").await;
    browser.press_on("signup.submit").await;
    let password = browser.read_qr_code().await;
    let kept = "return [...document.querySelector('[data-continue]').elements].filter((input) => input.autocomplete && input.value)
                .map(({ autocomplete, type, readOnly, value }) => [autocomplete, type, readOnly, value])";
    let expected = json!([["username", "text", true, "sophie"], ["new-password", "password", true, password]]);
    assert_eq!(browser.run(kept, &[]).await, expected);
    app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/signup").await;
    browser.fill("username", "michel.ranu").await;
    browser.press_on("signup.submit").await;
    browser.hear("[role=alert]", "contactez le support (poste 42) pour obtenir le compte").await;
    browser.leave().await;
}

#[tokio::test]
async fn what_failed_is_in_the_title_and_is_gone_when_it_is_mended() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/login").await;
    let title = "return document.title";
    let before = browser.run(title, &[]).await.as_str().unwrap().to_owned();
    fill_login_with(&browser, &mut michel, |_| "000000".to_owned()).await;
    browser.hear_key("[role=alert]", "code.invalid_credentials").await;
    assert_eq!(browser.run(title, &[]).await, format!("{}{before}", browser.language.text("layout.error")));
    fill_login(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    browser.leave().await;
}
