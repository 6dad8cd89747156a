//! What nobody learns, loses or does by accident: other origins, the back button, odd orders, several tabs.

use super::{at_the_dashboard, give_code, log_in, network, shown_password, sign_up};
use cofrap_tests::{Browser, Language, TestApp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::test]
async fn logging_out_ends_this_session_or_all_and_the_back_button_shows_nothing() {
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
        browser.hear_key("h1", "logout.done").await;
        browser.check_view("logout-done").await;
        assert_eq!(browser.cookies().await, [] as [Value; 0]);
        let answer = app.session(&elsewhere).await;
        assert_eq!(answer.status == 401, button == "dashboard.end", "only one of them ends them all");
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
    let (browser, _) = at_the_dashboard(&app, Language::French).await;
    browser.see("[data-activity] li").await;
    browser.visit("/logout").await;
    browser.check_view("logout").await;
    browser.press_on("logout.submit").await;
    browser.hear_key("h1", "logout.done").await;
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
    let (browser, _) = at_the_dashboard(&app, Language::French).await;
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
    let (browser, _) = at_the_dashboard(&app, Language::French).await;
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
    browser.press_on("field.show_password").await;
    assert_eq!(shown_password(&browser).await, password);
    browser.press_on("field.hide_password").await;
    assert_eq!(shown_password(&browser).await, "");
    browser.run("history.back()", &[]).await;
    browser.arrive("/login").await;
    let page = browser.run("return document.documentElement.innerHTML", &[]).await;
    assert!(!page.as_str().unwrap().contains(&password));

    sign_up(&app, &browser, "sophie").await;
    browser.run("history.back()", &[]).await;
    browser.arrive("/generate-2fa").await;
    assert!(!browser.sees("[data-link]").await, "no app of this device opens it");
    let touch = json!({ "features": [{ "name": "pointer", "value": "coarse" }] });
    browser.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": true, "maxTouchPoints": 1 })).await;
    browser.devtools("Emulation.setEmulatedMedia", touch).await;
    browser.see("[data-link]").await;
    browser
        .run("document.querySelector('[data-link]').addEventListener('click', (click) => click.preventDefault())", &[])
        .await;
    assert!(would_ask(&browser).await);
    browser.click("[data-link]").await;
    assert!(!would_ask(&browser).await, "opening the app is no leaving");
    browser.until("leaving asks again", async || would_ask(&browser).await).await;
    browser.devtools("Network.emulateNetworkConditions", network(0, true)).await;
    browser.press_on("layout.continue").await;
    browser.hear_key("[data-continue] [role=alert]", "code.unreachable").await;
    browser.devtools("Network.emulateNetworkConditions", network(0, false)).await;
    browser.press_on("layout.continue").await;
    browser.arrive("/check-2fa").await;
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|text| text.contains("ERR_INTERNET_DISCONNECTED")), "{complaints:#?}");
    browser.leave().await;
}

#[tokio::test]
async fn a_password_that_is_on_its_way_is_waited_for() {
    let app = TestApp::start().await;
    let (browser, _) = at_the_dashboard(&app, Language::French).await;
    browser.press_on("dashboard.new_password").await;
    browser.arrive("/generate-password").await;
    browser.see("[data-ask]").await;
    browser.devtools("Network.emulateNetworkConditions", network(500, false)).await;
    let script = "document.querySelector('.language').click();
        document.querySelector('[data-ask]').requestSubmit();
        history.back();";
    browser.run(script, &[]).await;
    assert!(would_ask(&browser).await);
    browser.read_qr_code().await;
    // Where the password comes before the other language does, it is shown in that one, and nothing of it is lost.
    let titles = [Language::French, Language::English].map(|language| language.text("generate_password.title"));
    let title = "return document.querySelector('h1').textContent.trim()";
    browser
        .until("the title", async || {
            let shown = browser.run(title, &[]).await;
            titles.iter().any(|text| shown == **text)
        })
        .await;
    assert_eq!(browser.path().await, "/generate-password");
    browser.leave().await;
}

#[tokio::test]
async fn nothing_is_sent_twice_and_nothing_changes_under_an_answer() {
    let app = TestApp::start().await;
    let browser = Browser::open(&app, Language::French).await;
    browser.visit("/signup").await;
    browser.fill("username", "michel.ranu").await;
    browser.devtools("Network.emulateNetworkConditions", network(400, false)).await;
    let script = "const form = document.querySelector('form');
        form.requestSubmit();
        form.requestSubmit();
        document.querySelector('.language').click();";
    browser.run(script, &[]).await;
    browser.arrive("/generate-password").await;
    let passwords = app.database.count("SELECT count(*) FROM auth_logs_v2").await;
    assert_eq!((passwords, browser.text("h1").await), (1, browser.language.text("generate_password.title")));
    // Of two ways, the last one counts.
    // What both ways ask for is answered before what is asked twice after them.
    let script = "confirm = () => true;
        history.back();
        await new Promise((go) => setTimeout(go, 100));
        history.forward();
        await new Promise((go) => setTimeout(go, 100));
        for (const turn of [1, 2]) await (await fetch(`/login?${turn}`)).text();";
    browser.run_async(script, &[]).await;
    assert_eq!(browser.text("h1").await, browser.language.text("generate_password.title"));
    browser.leave().await;
}

#[tokio::test]
async fn a_page_of_another_version_is_loaded_by_the_browser_itself() {
    let app = TestApp::start().await;
    let (browser, _) = at_the_dashboard(&app, Language::French).await;
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
