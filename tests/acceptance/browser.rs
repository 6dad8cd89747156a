//! The web interface in a real browser: from "new here" to logged in, and everything after, in both languages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofrap_crypto::{Password, draw_qr_png};
use cofrap_tests::{Browser, Language, MAX_AGE, Person, STEP, Settings, TestApp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Reads the password off the screen and goes on; the password.
async fn keep_password(browser: &Browser) -> String {
    let password = browser.read_qr_code().await;
    browser.press_on("generate_password.reveal").await;
    assert_eq!(browser.text("#secret").await, password);
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
        assert!(!browser.sees("#secret").await, "the text is only shown when asked for");
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
        browser.hear("[role=alert]", &language.text("wait.begin.other").replace("{number}", "30")).await;
        browser.hear("[data-countdown]", &language.text("wait.left.other").replace("{number}", "28")).await;
        browser.check_view("login-locked").await;
        let requests = browser.requested().await.len();
        browser.press_on("login.submit").await;
        assert!(requests > 0 && browser.requested().await.is_empty(), "nothing is sent before the wait is over");
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
        let mut michel = app.active_account("michel.ranu").await;
        let browser = Browser::open(&app, language).await;
        log_in(&browser, &mut michel).await;
        browser.arrive("/dashboard").await;
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
        let mut michel = app.active_account("michel.ranu").await;
        let browser = Browser::open(&app, language).await;
        log_in(&browser, &mut michel).await;
        browser.arrive("/dashboard").await;
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
        let mut michel = app.active_account("michel.ranu").await;
        let browser = Browser::open(&app, language).await;
        log_in(&browser, &mut michel).await;
        browser.arrive("/dashboard").await;
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
async fn logging_out_ends_every_session_and_the_back_button_shows_nothing() {
    for (button, language) in [("logout.submit", Language::French), ("dashboard.end", Language::English)] {
        let app = TestApp::start().await;
        let mut sophie = app.active_account("sophie.martin").await;
        let elsewhere = sophie.session().await;
        let browser = Browser::open(&app, language).await;
        log_in(&browser, &mut sophie).await;
        browser.arrive("/dashboard").await;
        browser.see("[data-activity] li").await;
        browser.press_on(button).await;
        browser.arrive("/logout").await;
        browser.hear_key("#done-title", "logout.done").await;
        browser.check_view("logout-done").await;
        assert_eq!(browser.cookies().await, [] as [serde_json::Value; 0]);
        app.session(&elsewhere).await.problem(401, "invalid_token");
        for path in ["/login", "/dashboard"] {
            browser.go_back().await;
            let shown = browser.run("return document.body.innerText", &[]).await;
            assert!(!shown.as_str().unwrap().contains("sophie.martin"), "{path}: {shown}");
        }
        browser.visit("/dashboard").await;
        browser.arrive("/login").await;
        browser.leave().await;
    }
}

#[tokio::test]
async fn a_page_that_was_left_keeps_nothing_for_the_back_button() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    browser.see("[data-activity] li").await;
    browser.visit("/logout").await;
    browser.check_view("logout").await;
    browser.press_on("logout.submit").await;
    browser.hear_key("#done-title", "logout.done").await;
    browser.go_back().await;
    browser.arrive("/login").await;
    assert!(!browser.sees("[data-activity] li").await);

    sign_up(&app, &browser, "sophie").await;
    browser.visit("/").await;
    browser.go_back().await;
    browser.arrive("/check-2fa").await;
    assert_eq!(browser.text("#username").await, "", "nobody is remembered");
    browser.leave().await;
}

/// Tab, Enter and Space: WebDriver, section 17.4.2.
const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';
const SPACE: char = '\u{E00D}';

/// Presses Tab until the focus is on what a selector finds, which shows that it has the focus.
async fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..40 {
        browser.press(TAB).await;
        let script = "const focused = document.activeElement;
            return focused.matches(arguments[0]) && getComputedStyle(focused).outlineStyle !== 'none'";
        if browser.run(script, &[json!(css)]).await == true {
            return;
        }
    }
    panic!("{css} is not reached by the keyboard, or does not show its focus");
}

#[tokio::test]
async fn the_keyboard_alone_is_enough() {
    let app = TestApp::start().await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/").await;
    tab_to(&browser, ".skip").await;
    browser.press(ENTER).await;
    tab_to(&browser, "main a[href='/signup']").await;
    browser.press(ENTER).await;
    browser.arrive("/signup").await;
    tab_to(&browser, "#username").await;
    browser.type_text("michel.ranu").await;
    browser.press(ENTER).await;
    browser.arrive("/generate-password").await;
    assert_eq!(browser.focused().await, "h1", "a new page begins at its heading");
    let password = browser.read_qr_code().await;
    tab_to(&browser, "[data-reveal]").await;
    browser.press(SPACE).await;
    assert_eq!(browser.text("#secret").await, password);
    tab_to(&browser, "#kept").await;
    browser.press(SPACE).await;
    tab_to(&browser, "[data-continue] button").await;
    browser.press(ENTER).await;
    browser.arrive("/generate-2fa").await;
    let mut michel = Person::new(&app, "michel.ranu", password, &browser.read_qr_code().await);
    tab_to(&browser, "[data-continue] button").await;
    browser.press(SPACE).await;
    browser.arrive("/check-2fa").await;
    tab_to(&browser, "#code").await;
    browser.type_text(&michel.fresh_code()).await;
    browser.press(ENTER).await;
    browser.arrive("/dashboard").await;
    browser.see("[data-activity] li").await;
    tab_to(&browser, "[data-logout]").await;
    browser.press(SPACE).await;
    browser.arrive("/logout").await;

    browser.visit("/login").await;
    tab_to(&browser, "#username").await;
    browser.type_text("michel.ranu").await;
    tab_to(&browser, "#password").await;
    browser.type_text(&michel.password).await;
    tab_to(&browser, "[data-show]").await;
    browser.press(SPACE).await;
    let shown = "return [document.querySelector('#password').type, document.querySelector('#password').value]";
    assert_eq!(browser.run(shown, &[]).await, json!(["text", michel.password]));
    tab_to(&browser, "#code").await;
    browser.type_text(&michel.fresh_code()).await;
    browser.press(ENTER).await;
    browser.arrive("/dashboard").await;
    browser.leave().await;
}

#[tokio::test]
async fn the_language_changes_in_the_middle_of_a_journey_and_is_remembered() {
    let app = TestApp::start().await;
    let mut browser = Browser::open(&app, Language::French).await;
    browser.visit("/signup").await;
    browser.fill("username", "michel.ranu").await;
    browser.click(".language").await;
    browser.language = Language::English;
    browser.hear_key("h1", "signup.title").await;
    assert_eq!(browser.run("return document.documentElement.lang", &[]).await, "en");
    assert_eq!(browser.run("return document.querySelector('#username').value", &[]).await, "michel.ranu");
    browser.press_on("signup.submit").await;
    browser.arrive("/generate-password").await;
    let password = browser.read_qr_code().await;
    browser.click(".language").await;
    browser.language = Language::French;
    browser.hear_key("h1", "generate_password.title").await;
    assert_eq!(browser.read_qr_code().await, password);
    browser.visit("/").await;
    browser.hear_key("h1", "index.title").await;
    browser.click(".language").await;
    browser.language = Language::English;
    browser.hear_key("h1", "index.title").await;
    browser.visit("/login").await;
    browser.hear_key("h1", "login.title").await;
    browser.leave().await;
}

#[tokio::test]
async fn the_password_is_copied_when_asked() {
    let app = TestApp::start().await;
    let browser = Browser::open(&app, Language::French).await;
    let permission = json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.devtools("Browser.grantPermissions", permission).await;
    browser.visit("/signup").await;
    browser.fill("username", "michel.ranu").await;
    browser.press_on("signup.submit").await;
    browser.arrive("/generate-password").await;
    let password = browser.read_qr_code().await;
    browser.press_on("generate_password.copy").await;
    browser.hear_key("[data-status]", "layout.copied").await;
    assert_eq!(browser.run_async("return navigator.clipboard.readText()", &[]).await, password.as_str());
    browser.leave().await;
}

/// The functions draw what the page reads: whatever the characters, it reads what was drawn.
#[tokio::test]
async fn the_page_reads_every_password_out_of_its_image() {
    let app = TestApp::start().await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/signup").await;
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut passwords: Vec<_> = (0..200).map(|_| Password::generate(&mut rng).expose().to_owned()).collect();
    // Runs of digits and capitals are written in other modes.
    passwords.extend(
        ["1234567890123456789012aA", "ABCDEFGHIJKLMNOPQRST1a", "%%%AAAA0000000aaaa11111111", "1", "Zz."]
            .map(str::to_owned),
    );
    let images: Vec<_> = passwords.iter().map(|password| STANDARD.encode(draw_qr_png(password).unwrap())).collect();
    let script =
        "const { readQrCode } = await import(document.querySelector('script[src]').src.replace('app.js', 'qr.js'));
        return Promise.all(arguments[0].map((image) => readQrCode(image).catch((error) => `${error}`)))";
    let read = browser.run_async(script, &[json!(images)]).await;
    let read: Vec<_> = read.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    assert!(read == passwords, "what was read is not what was drawn");
    let other = draw_qr_png(&"x".repeat(100)).unwrap();
    let read = browser.run_async(script, &[json!([STANDARD.encode(other)])]).await;
    assert_eq!(read, json!(["Error: a QR code of another version"]));
}

#[tokio::test]
async fn what_the_service_does_not_do_is_said_in_plain_words() {
    let app = TestApp::start().await;
    app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::English).await;
    let sign_up = async |name: &str, key: &str| {
        browser.visit("/signup").await;
        browser.fill("username", name).await;
        browser.press_on("signup.submit").await;
        browser.hear_key("[role=alert]", key).await;
    };
    sign_up("michel.ranu", "signup.code.proof_required").await;
    browser.check_view("signup-taken").await;
    sign_up("Michel.Ranu", "code.username_taken").await;
    app.database.go_away().await;
    sign_up("sophie", "code.unavailable").await;
    app.database.come_back().await;
    let offline = json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
    browser.visit("/signup").await;
    browser.devtools("Network.emulateNetworkConditions", offline).await;
    browser.fill("username", "sophie").await;
    browser.press_on("signup.submit").await;
    browser.hear_key("[role=alert]", "code.unreachable").await;
}

#[tokio::test]
async fn without_sessions_the_login_says_so() {
    let app = TestApp::start_with(Settings::variable("policy", "legacy")).await;
    let mut michel = app.provisional_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    log_in(&browser, &mut michel).await;
    browser.hear_key("[role=alert]", "code.no_session").await;
    browser.leave().await;
}

#[tokio::test]
async fn where_there_is_no_page_a_page_says_so() {
    let app = TestApp::start().await;
    for language in Language::ALL {
        let browser = Browser::open(&app, language).await;
        browser.visit("/nowhere").await;
        browser.hear_key("h1", "not_found.title").await;
        browser.check_view("not-found").await;
    }
}

#[tokio::test]
async fn without_script_every_page_says_what_it_needs_and_offers_nothing_that_cannot_work() {
    let app = TestApp::start().await;
    for language in Language::ALL {
        let browser = Browser::open(&app, language).await;
        browser.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
        for path in ["/login", "/signup", "/generate-password", "/generate-2fa", "/check-2fa", "/dashboard", "/logout"]
        {
            browser.visit(path).await;
            let said = browser.read_aloud().await;
            assert!(said.contains(&language.text("layout.needs_script")), "{path}: {said}");
            for role in ["textbox", "button"] {
                assert!(!said.contains(&format!("{role}:")), "{path}: {said}");
            }
        }
    }
}

/// Another site, on another port of the same machine: for a browser it is the same site when it is called by the same name.
async fn serve_elsewhere(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}",
        page.len()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_page_of_another_origin_does_nothing_with_the_session_and_learns_nothing() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    let before = app.database.dump().await;
    let target = app.url("");
    let form = format!(
        "<form method=post enctype=text/plain action='{target}/function/generate-password-v2'>
         <input name='{{\"username\":\"michel.ranu\",\"x\":\"' value='\"}}'></form><iframe src='{target}/dashboard'></iframe>"
    );
    let port = serve_elsewhere(form).await;
    for host in ["127.0.0.1", "localhost"] {
        browser.go_to(&format!("http://{host}:{port}/")).await;
        let script = "const [target] = arguments;
            const attempt = (path, options) =>
                fetch(target + path, { credentials: 'include', ...options }).then(
                    async (response) => `${response.type} ${response.status} ${await response.text()}`, () => 'refused');
            const json = { 'Content-Type': 'application/json', 'Cofrap-Session': 'cookie' };
            const body = JSON.stringify({ username: 'michel.ranu' });
            return Promise.all([
                attempt('/function/session'),
                attempt('/function/session', { mode: 'no-cors' }),
                attempt('/dashboard', { mode: 'no-cors' }),
                attempt('/function/session', { method: 'DELETE', headers: json }),
                attempt('/function/session', { method: 'POST', mode: 'no-cors' }),
                attempt('/function/session', { method: 'POST', mode: 'no-cors', body: new Blob([body], { type: 'application/json' }) }),
                attempt('/function/generate-password-v2', { method: 'POST', mode: 'no-cors', body }),
                attempt('/function/generate-2fa-v2', { method: 'POST', headers: json, body }),
            ])";
        let seen = browser.run_async(script, &[json!(target)]).await;
        // What is opaque has no status and no body for who asked; CORP keeps even that from being loaded.
        assert!(
            seen.as_array().unwrap().iter().all(|seen| *seen == "refused" || *seen == "opaque 0 "),
            "{host}: {seen}"
        );
        let framed =
            browser.run("try { return frames[0].document?.body.innerText ?? '' } catch { return 'closed' }", &[]);
        assert_eq!(framed.await, "closed", "{host}");
        browser.run("document.forms[0].submit()", &[]).await;
        browser.hear("body", "unsupported_media_type").await;
    }
    assert_eq!(app.database.dump().await, before);
    browser.visit("/dashboard").await;
    browser.see("[data-activity] li").await;
}

/// Whether the browser would ask before it leaves the page.
async fn would_ask(browser: &Browser) -> bool {
    let script = "const leaving = new Event('beforeunload', { cancelable: true });
        dispatchEvent(leaving);
        return leaving.defaultPrevented";
    browser.run(script, &[]).await == true
}

#[tokio::test]
async fn what_is_shown_once_is_not_left_by_accident() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    assert!(!would_ask(&browser).await);
    browser.press_on("dashboard.new_password").await;
    browser.arrive("/generate-password").await;
    assert!(!would_ask(&browser).await);
    browser.press_on("generate_password.submit").await;
    let password = browser.read_qr_code().await;
    assert!(would_ask(&browser).await);

    browser.run("globalThis.asked = []; confirm = (text) => { asked.push(text); return asked.length > 1; }", &[]).await;
    let asked = json!([Language::French.text("layout.leave")]);
    browser.run("history.back()", &[]).await;
    browser.until("the question", async || browser.run("return asked", &[]).await == asked).await;
    assert_eq!(browser.path().await, "/generate-password");
    assert_eq!(browser.read_qr_code().await, password, "it is still there");
    browser.press_on("generate_password.reveal").await;
    assert_eq!(browser.text("#secret").await, password);
    browser.press_on("generate_password.reveal").await;
    assert_eq!(browser.run("return document.querySelector('#secret').textContent", &[]).await, "");
    browser.run("history.back()", &[]).await;
    browser.arrive("/login").await;
    let page = browser.run("return document.documentElement.innerHTML", &[]).await;
    assert!(!page.as_str().unwrap().contains(&password));

    sign_up(&app, &browser, "sophie").await;
    browser.run("history.back()", &[]).await;
    browser.arrive("/generate-2fa").await;
    browser.see("[data-link]").await;
    browser
        .run("document.querySelector('[data-link]').addEventListener('click', (click) => click.preventDefault())", &[])
        .await;
    assert!(would_ask(&browser).await);
    browser.click("[data-link]").await;
    assert!(!would_ask(&browser).await, "opening the app is no leaving");
    browser.leave().await;
}

#[tokio::test]
async fn nothing_is_sent_twice_and_nothing_changes_under_an_answer() {
    let app = TestApp::start().await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/signup").await;
    browser.fill("username", "michel.ranu").await;
    let slow = json!({ "offline": false, "latency": 400, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.devtools("Network.emulateNetworkConditions", slow).await;
    let script = "const form = document.querySelector('form');
        form.requestSubmit();
        form.requestSubmit();
        document.querySelector('.language').click();";
    browser.run(script, &[]).await;
    browser.arrive("/generate-password").await;
    let passwords = app.database.count("SELECT count(*) FROM auth_logs_v2").await;
    assert_eq!((passwords, browser.text("h1").await), (1, browser.language.text("generate_password.title")));
    // Of two ways, the last one counts.
    browser.run("confirm = () => true; history.back(); setTimeout(() => history.forward(), 100)", &[]).await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(browser.text("h1").await, browser.language.text("generate_password.title"));
    browser.leave().await;
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
async fn a_page_of_another_version_is_loaded_by_the_browser_itself() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    browser.see("[data-activity] li").await;
    browser.run("document.documentElement.dataset.version = 'old'; globalThis.isOld = true", &[]).await;
    browser.press_on("logout.submit").await;
    browser.until("a new document", async || browser.run("return globalThis.isOld ?? false", &[]).await == false).await;
    browser.arrive("/logout").await;
    browser.leave().await;
}

#[tokio::test]
async fn a_page_speaks_of_one_account_whoever_logs_in_beside_it() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let mut sophie = app.active_account("sophie").await;
    let browser = Browser::open(&app, Language::French).await;
    log_in(&browser, &mut michel).await;
    browser.arrive("/dashboard").await;
    browser.see("[data-activity] li").await;
    // As another tab does.
    let script = "const [body] = arguments;
        const headers = { 'Content-Type': 'application/json', 'Cofrap-Session': 'cookie' };
        return (await fetch('/function/authenticate-user-v2', { method: 'POST', headers, body })).status";
    let body = sophie.with_credentials().to_string();
    assert_eq!(browser.run_async(script, &[json!(body)]).await, 200);
    browser.press_on("dashboard.end").await;
    browser
        .until("the other account", async || {
            browser.run("return document.querySelector('[data-username]')?.textContent", &[]).await == "sophie"
        })
        .await;
    assert_eq!(app.database.count("SELECT count(*) FROM auth_logs_v2 WHERE action = 'sessions_ended'").await, 0);
    browser.leave().await;
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
    browser.hear("[data-activity] .done", "done").await;
    let chart = browser.run("return document.querySelector('[data-chart] svg').getAttribute('aria-label')", &[]).await;
    let chart = chart.as_str().unwrap();
    assert!(chart.contains("1 done, 1 refused.") && chart.matches("0 done, 0 refused.").count() == 6, "{chart}");
    browser.hear("[data-renewal].soon", "12 days left").await;
    browser.check_view("dashboard-renewal-soon").await;
    // The session ended elsewhere: there is nothing left to end here.
    let token = michel.session().await;
    app.request_as(&token, http::Method::DELETE, "/function/session").await.ok();
    browser.visit("/logout").await;
    browser.press_on("logout.submit").await;
    browser.hear_key("#done-title", "logout.done").await;
    browser.visit("/dashboard").await;
    browser.arrive("/login").await;
    browser.hear_key("[data-status]", "login.not_logged_in").await;
    browser.leave().await;
}

#[tokio::test]
async fn a_browser_s_old_cookie_is_in_nobody_s_way() {
    let app = TestApp::start().await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/login").await;
    let old = json!({ "name": "__Host-session", "value": "old", "url": app.url("/"), "secure": true, "path": "/" });
    browser.devtools("Network.setCookie", old).await;
    let mut michel = sign_up(&app, &browser, "michel.ranu").await;
    give_code(&browser, &mut michel).await;
    browser.leave().await;
}

#[tokio::test]
async fn at_an_odd_address_the_language_changes_and_nobody_is_led_away() {
    let app = TestApp::start().await;
    let browser = Browser::open(&app, Language::French).await;
    for path in ["//localhost:9/login", "//"] {
        browser.visit(path).await;
        browser.click(".language").await;
        browser.hear("h1", &Language::English.text("not_found.title")).await;
        assert_eq!(browser.path().await, path);
        browser.click(".language").await;
        browser.hear_key("h1", "not_found.title").await;
    }
    assert!(browser.requested().await.iter().all(|url| url.starts_with(&app.url("/"))));
}
