//! The web interface in a real browser: from "new here" to logged in, and everything after, in both languages.

mod care;
mod everyone;
mod journeys;

use cofrap_tests::{Browser, Language, MAX_AGE, Person, STEP, TestApp};
use serde_json::{Value, json};

/// Somebody who has just logged in.
async fn at_the_dashboard(app: &TestApp, language: Language) -> (Browser, Person<'_>) {
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(app, language).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    (browser, michel)
}

/// The password that the page shows as text; nothing while it is hidden.
async fn shown_password(browser: &Browser) -> String {
    let script = "const { type, value } = document.querySelector('#secret'); return type === 'text' ? value : ''";
    browser.run(script, &[]).await.as_str().unwrap().to_owned()
}

/// Reads the password off the screen and goes on; the password.
async fn keep_password(browser: &Browser) -> String {
    let password = browser.read_qr_code().await;
    browser.press_on("field.show_password").await;
    assert_eq!(shown_password(browser).await, password);
    browser.click("#kept").await;
    password
}

/// Creates an account up to its first code; the person who will log in.
async fn sign_up<'a>(app: &'a TestApp, browser: &Browser, username: &str) -> Person<'a> {
    browser.visit("/signup").await;
    browser.fill("username", username).await;
    browser.press_on("signup.submit").await;
    browser.arrive("/generate-password").await;
    let password = keep_password(browser).await;
    browser.press_on("layout.continue").await;
    browser.arrive("/generate-2fa").await;
    let uri = browser.read_qr_code().await;
    let person = Person::new(app, username, password, &uri);
    browser.press_on("layout.continue").await;
    browser.arrive("/check-2fa").await;
    person
}

/// Completes a journey with the code that the phone shows now.
async fn give_code(browser: &Browser, person: &mut Person<'_>) {
    browser.arrive("/check-2fa").await;
    browser.fill("code", &person.fresh_code()).await;
    browser.press_on("check_2fa.submit").await;
    browser.arrive("/dashboard").await;
}

/// Fills in the login and sends it.
async fn log_in(browser: &Browser, person: &mut Person<'_>) {
    browser.visit("/login").await;
    fill_login(browser, person).await;
}

async fn fill_login(browser: &Browser, person: &mut Person<'_>) {
    browser.fill("username", &person.username).await;
    browser.fill("password", &person.password).await;
    browser.fill("code", &person.fresh_code()).await;
    browser.press_on("login.submit").await;
}

/// The network as it is on a bad day.
fn network(latency_milliseconds: u32, is_offline: bool) -> Value {
    json!({
        "offline": is_offline, "latency": latency_milliseconds, "downloadThroughput": -1, "uploadThroughput": -1,
    })
}

#[tokio::test]
async fn somebody_new_creates_an_account_and_is_logged_in() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let browser = Browser::open(&app, language).await;
        browser.visit("/").await;
        browser.check_view("index").await;
        browser.visit("/signup").await;
        browser.check_view("signup").await;
        browser.fill("username", " michel.ranu ").await;
        browser.press_on("signup.submit").await;

        browser.arrive("/generate-password").await;
        let password = browser.read_qr_code().await;
        assert_eq!(shown_password(&browser).await, "", "the text is only shown when asked for");
        browser.check_view("generate-password").await;
        browser.press_on("layout.continue").await;
        browser.hear_key("#kept-error", "problem.kept_missing").await;
        browser.check_view("generate-password-unsaved").await;
        assert_eq!(keep_password(&browser).await, password);
        browser.check_view("generate-password-text").await;
        browser.press_on("layout.continue").await;

        browser.arrive("/generate-2fa").await;
        let uri = browser.read_qr_code().await;
        let link = browser.run("return document.querySelector('[data-link]').href", &[]).await;
        assert_eq!(link, uri.as_str());
        let secret = browser.text("[data-secret]").await.replace(' ', "");
        assert!(uri.contains(&format!("secret={secret}&")), "{uri}");
        browser.check_view("generate-2fa").await;
        let mut michel = Person::new(&app, "michel.ranu", password, &uri);
        browser.press_on("layout.continue").await;

        browser.arrive("/check-2fa").await;
        browser.check_view("check-2fa").await;
        browser.fill("code", "000000").await;
        browser.press_on("check_2fa.submit").await;
        browser.hear_key("[role=alert]", "check_2fa.code.invalid_credentials").await;
        browser.check_view("check-2fa-refused").await;
        let code = michel.fresh_code();
        browser.fill("code", &format!("{} {}", &code[..3], &code[3..])).await;
        browser.press_on("check_2fa.submit").await;

        browser.arrive("/dashboard").await;
        assert_eq!(browser.text("[data-username]").await, "michel.ranu");
        browser.hear_key("[data-activity]", "action.login").await;
        browser.check_view("dashboard").await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn whoever_logs_in_is_told_what_is_wrong_where_it_is() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let mut michel = app.active_account("michel.ranu").await;
        let browser = Browser::open(&app, language).await;
        browser.visit("/login").await;
        browser.check_view("login").await;
        browser.press_on("login.submit").await;
        browser.hear_key("#username-error", "problem.username_missing").await;
        browser.hear_key("#password-error", "problem.password_missing").await;
        browser.check_view("login-incomplete").await;
        assert_eq!(browser.focused().await, "username");
        browser.fill("username", "michel\u{200b}ranu").await;
        browser.fill("password", "x").await;
        browser.fill("code", "12 34").await;
        browser.press_on("login.submit").await;
        browser.hear_key("#username-error", "problem.username_characters").await;
        browser.hear_key("#code-error", "problem.code_ill_formed").await;
        let tied = "const input = document.querySelector('#code');
            return [input.getAttribute('aria-invalid'), input.getAttribute('aria-describedby')]";
        assert_eq!(browser.run(tied, &[]).await, json!(["true", "code-hint code-error"]));
        browser.fill("username", "michel.ranu").await;
        browser.fill("code", "123456").await;
        browser.press_on("login.submit").await;
        browser.hear_key("[role=alert]", "code.invalid_credentials").await;
        let blamed = browser.run("return document.querySelector('#username-error').textContent", &[]).await;
        assert_eq!(blamed, "", "what was mended is not blamed any more");
        browser.check_view("login-refused").await;
        fill_login(&browser, &mut michel).await;
        browser.arrive("/dashboard").await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn a_locked_name_is_told_how_long_to_wait_and_when_it_is_over() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let mut michel = app.active_account("michel.ranu").await;
        let browser = Browser::open(&app, language).await;
        for _ in 0..5 {
            app.authenticate("michel.ranu", "wrong", "000000").await.problem(401, "invalid_credentials");
        }
        browser.visit("/login").await;
        browser.fill("username", "michel.ranu").await;
        browser.fill("password", &michel.password).await;
        browser.fill("code", "123456").await;
        browser.press_on("login.submit").await;
        let wait = language.text("wait.seconds.other").replace("{number}", "30");
        browser.hear("[role=alert]", &format!("{} {wait}", language.text("wait.too_many"))).await;
        browser.hear("[data-countdown]", &language.text("wait.left.other").replace("{number}", "29")).await;
        browser.check_view("login-locked").await;
        let requests = browser.requested().await.len();
        browser.press_on("login.submit").await;
        assert!(requests > 0 && browser.requested().await.is_empty(), "nothing is sent before the wait is over");
        browser.click(".language").await;
        browser.see("[data-countdown]").await;
        browser.click(".language").await;
        browser.hear_key("h1", "login.title").await;
        browser.see("[data-countdown]").await;
        browser.run("const now = Date.now.bind(Date); Date.now = () => now() + 30_000;", &[]).await;
        browser.hear_key("[role=alert]", "wait.over").await;
        assert!(!browser.sees("[data-countdown]").await);
        app.clock.advance(STEP);
        browser.fill("code", &michel.fresh_code()).await;
        browser.press_on("login.submit").await;
        browser.arrive("/dashboard").await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn an_expired_account_renews_both_and_is_logged_in() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let mut michel = app.active_account("michel.ranu").await;
        let browser = Browser::open(&app, language).await;
        app.clock.advance(MAX_AGE + 1);
        log_in(&browser, &mut michel).await;
        browser.hear_key("#offer-title", "login.renew.title").await;
        browser.check_view("login-expired").await;
        let other = if language == Language::French { Language::English } else { Language::French };
        browser.click(".language").await;
        browser.hear("#offer-title", &other.text("login.renew.title")).await;
        browser.click(".language").await;
        browser.hear_key("#offer-title", "login.renew.title").await;
        browser.press_on("login.renew.button").await;
        browser.arrive("/generate-password").await;
        let password = keep_password(&browser).await;
        assert_ne!(password, michel.password);
        browser.press_on("layout.continue").await;
        browser.arrive("/generate-2fa").await;
        let uri = browser.read_qr_code().await;
        browser.press_on("layout.continue").await;
        browser.arrive("/check-2fa").await;
        michel.password = password;
        michel.scan(&uri);
        give_code(&browser, &mut michel).await;
        let days = language.text("dashboard.days.other").replace("{number}", "182");
        browser.hear("[data-renewal]", &days).await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn an_account_without_a_second_factor_is_led_to_one() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let mut michel = app.active_account("michel.ranu").await;
        app.administer("michel.ranu", "reset-2fa").await.ok();
        let browser = Browser::open(&app, language).await;
        browser.visit("/login").await;
        browser.fill("username", "michel.ranu").await;
        browser.fill("password", &michel.password).await;
        browser.press_on("login.submit").await;
        browser.hear_key("#offer-title", "login.enrol.title").await;
        browser.check_view("login-without-2fa").await;
        browser.press_on("login.enrol.button").await;
        browser.arrive("/generate-2fa").await;
        michel.scan(&browser.read_qr_code().await);
        browser.press_on("layout.continue").await;
        give_code(&browser, &mut michel).await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn a_new_password_needs_no_more_proof_than_a_login_just_now() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let (browser, mut michel) = at_the_dashboard(&app, language).await;
        browser.press_on("dashboard.new_password").await;
        browser.arrive("/generate-password").await;
        browser.check_view("generate-password-ask").await;
        assert!(!browser.sees("#password").await);
        browser.press_on("generate_password.submit").await;
        michel.password = keep_password(&browser).await;
        browser.press_on("layout.continue").await;
        give_code(&browser, &mut michel).await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn another_phone_takes_over_with_its_first_code_and_an_old_login_is_asked_for_proof() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let (browser, mut michel) = at_the_dashboard(&app, language).await;
        app.clock.advance(301);
        browser.press_on("dashboard.new_second_factor").await;
        browser.arrive("/generate-2fa").await;
        browser.press_on("generate_2fa.submit").await;
        browser.hear_key("[role=alert]", "code.login_too_old").await;
        assert_eq!(browser.focused().await, "password");
        browser.check_view("generate-2fa-proof").await;
        browser.fill("password", &michel.password).await;
        browser.fill("code", &michel.fresh_code()).await;
        browser.press_on("generate_2fa.submit").await;
        let uri = browser.read_qr_code().await;
        michel.scan(&uri);
        browser.press_on("layout.continue").await;
        give_code(&browser, &mut michel).await;
        michel.log_in().await.ok();
        browser.leave().await;
    }
}

#[tokio::test]
async fn the_pages_of_credentials_also_work_for_who_comes_there_first() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    for page in ["generate-password", "generate-2fa", "check-2fa"] {
        browser.visit(&format!("/{page}")).await;
        browser.see("#username").await;
        browser.check_view(&format!("{page}-first")).await;
    }
    let fill = async |michel: &mut Person<'_>| {
        browser.fill("username", "michel.ranu").await;
        browser.fill("password", &michel.password).await;
        browser.fill("code", &michel.fresh_code()).await;
    };
    browser.visit("/generate-password").await;
    fill(&mut michel).await;
    browser.press_on("generate_password.submit").await;
    michel.password = keep_password(&browser).await;
    browser.visit("/generate-2fa").await;
    fill(&mut michel).await;
    browser.press_on("generate_2fa.submit").await;
    let uri = browser.read_qr_code().await;
    michel.scan(&uri);
    browser.visit("/check-2fa").await;
    fill(&mut michel).await;
    browser.press_on("check_2fa.submit").await;
    browser.arrive("/dashboard").await;
    browser.leave().await;
}

#[tokio::test]
async fn a_session_is_extended_and_is_over_when_it_ends() {
    for language in Language::ALL {
        let app = TestApp::start().await;
        let (browser, _) = at_the_dashboard(&app, language).await;
        app.clock.advance(600);
        browser.press_on("dashboard.extend").await;
        browser.hear_key("[data-status]", "dashboard.extended").await;
        let minutes = language.text("dashboard.minutes.other").replace("{number}", "30");
        browser.hear("[data-session]", &minutes).await;
        let later = "const now = Date.now.bind(Date); Date.now = () => now() + arguments[0];";
        browser.run(later, &[json!(1_700_000)]).await;
        browser.hear_key("[data-status]", "dashboard.ends_soon").await;
        browser.check_view("dashboard-ends-soon").await;
        app.clock.advance(1800);
        browser.run(later, &[json!(120_000)]).await;
        browser.arrive("/login").await;
        assert_eq!(browser.run("return document.activeElement.role", &[]).await, "status", "that is said first");
        browser.hear_key("[data-status]", "login.session_over").await;
        browser.check_view("login-session-over").await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn a_wrong_name_is_mended_and_a_free_one_gets_no_account_where_one_is_to_be_changed() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    for (page, submit) in [("/generate-password", "generate_password.submit"), ("/generate-2fa", "generate_2fa.submit")]
    {
        browser.visit(page).await;
        browser.fill("username", "michel.rano").await;
        browser.fill("password", &michel.password).await;
        browser.press_on(submit).await;
        browser.hear_key("[role=alert]", "code.invalid_credentials").await;
        browser.fill("username", "michel.ranu").await;
        browser.fill("code", &michel.fresh_code()).await;
        browser.press_on(submit).await;
        let read = browser.read_qr_code().await;
        if page == "/generate-password" {
            michel.password = read;
        }
        assert_eq!(browser.run("return document.querySelector('#password').value", &[]).await, "");
    }
    assert_eq!(app.database.count("SELECT count(*) FROM users_v2").await, 1);
}

#[tokio::test]
async fn the_dashboard_tells_what_was_refused_and_that_the_renewal_is_near() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    app.authenticate("michel.ranu", "wrong", "000000").await.problem(401, "invalid_credentials");
    app.clock.advance(MAX_AGE - 13 * 86_400);
    app.authenticate("michel.ranu", "wrong", "000000").await.problem(401, "invalid_credentials");
    let browser = Browser::open(&app, Language::English).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    browser.hear("[data-activity] .refused", "refused: wrong password").await;
    browser.hear_key("[data-activity] .done", "dashboard.done").await;
    let chart = browser.run("return document.querySelector('[data-chart] svg').getAttribute('aria-label')", &[]).await;
    let chart = chart.as_str().unwrap();
    assert!(chart.contains("1 successful, 1 refused.") && chart.matches("refused.").count() == 1, "{chart}");
    browser.hear("[data-renewal].soon", "12 days left").await;
    browser.check_view("dashboard-renewal-soon").await;
    // The session ended elsewhere: there is nothing left to end here.
    let token = michel.session().await;
    app.request_as(&token, http::Method::DELETE, "/function/session").await.ok();
    browser.visit("/logout").await;
    browser.press_on("logout.submit").await;
    browser.hear_key("h1", "logout.done").await;
    browser.visit("/dashboard").await;
    browser.arrive("/login").await;
    browser.hear_key("[data-status]", "login.not_logged_in").await;
    browser.leave().await;
}
