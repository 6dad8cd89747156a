//! For everyone: by keyboard alone, in either language, without script, and in plain words.

use super::{log_in, network, shown_password};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofrap_crypto::{Password, draw_qr_png};
use cofrap_tests::{Browser, Language, Person, Settings, TestApp};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::json;

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
    tab_to(&browser, "[data-continue] [data-show]").await;
    browser.press(SPACE).await;
    assert_eq!(shown_password(&browser).await, password);
    tab_to(&browser, "#kept").await;
    browser.press(SPACE).await;
    tab_to(&browser, "[data-continue] [type=submit]").await;
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
    browser.visit("/signup").await;
    browser.devtools("Network.emulateNetworkConditions", network(0, true)).await;
    browser.fill("username", "sophie").await;
    browser.press_on("signup.submit").await;
    browser.hear_key("[role=alert]", "code.unreachable").await;
}

#[tokio::test]
async fn without_sessions_the_pages_say_so_and_work() {
    let app = TestApp::start_with(Settings::variable("policy", "legacy")).await;
    let mut michel = app.provisional_account("michel.ranu").await;
    let browser = Browser::open(&app, Language::French).await;
    log_in(&browser, &mut michel).await;
    browser.hear_key("[data-status]", "login.no_session").await;
    assert_eq!(browser.run("return document.querySelector('#password').value", &[]).await, "");
    // An account that the operator touched asks for proof here too, with a code of its own.
    app.administer("michel.ranu", "unlock").await.ok();
    browser.visit("/generate-password").await;
    browser.fill("username", "michel.ranu").await;
    browser.fill("password", &michel.password).await;
    browser.fill("code", &michel.fresh_code()).await;
    browser.press_on("generate_password.submit").await;
    browser.hear_key("[role=alert]", "code.next_code").await;
    browser.fill("password", &michel.password).await;
    browser.fill("code", &michel.fresh_code()).await;
    browser.press_on("generate_password.submit").await;
    assert_ne!(browser.read_qr_code().await, michel.password);
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
