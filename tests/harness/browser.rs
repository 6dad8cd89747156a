//! A person at a screen: headless Chromium, driven over the W3C WebDriver protocol by the driver that comes with it.

use crate::app::TestApp;
use crate::checkout::checkout;
use crate::qr::find_qr_code;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Runs the driver until standard input closes, which it does however a test ends. What browsers leave behind goes with it.
/// They write while they end, so it goes more than once.
const DRIVER: &str = "export TMPDIR=$(mktemp -d); chromedriver --port=0 & driver=$!; cat >/dev/null; kill $driver; \
                      wait $driver; for second in 1 2 3; do sleep 1; rm -rf \"$TMPDIR\"; done";

/// What a page is given to show something.
const PATIENCE: Duration = Duration::from_secs(15);

/// The name of an element's reference. WebDriver, section 12.1.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A language of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// French
    French,
    /// English
    English,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::French, Self::English];

    /// Its tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// All of its sentences, as JSON.
    pub const fn texts(self) -> &'static str {
        match self {
            Self::French => include_str!("../../components/frontend/texts/fr.json"),
            Self::English => include_str!("../../components/frontend/texts/en.json"),
        }
    }

    /// The sentence of a key like `login.title`.
    #[track_caller]
    pub fn text(self, key: &str) -> String {
        let texts: Value = serde_json::from_str(self.texts()).expect("JSON");
        let text = texts.pointer(&format!("/{}", key.replace('.', "/"))).and_then(Value::as_str);
        let text = text.unwrap_or_else(|| panic!("there is no text {key}"));
        // Where no setting names anybody.
        let helpdesk = texts.pointer("/layout/administrator").and_then(Value::as_str).expect("a text");
        text.replace("{helpdesk}", helpdesk)
    }
}

/// A browser, with nothing in it at first.
pub struct Browser {
    /// The language that it asks for.
    pub language: Language,
    origin: String,
    session: String,
    client: Client<HttpConnector, Full<Bytes>>,
    _driver: Child,
}

impl Browser {
    /// Opens a browser for the pages of an application.
    pub async fn open(app: &TestApp, language: Language) -> Self {
        let mut driver = Command::new("sh")
            .args(["-c", DRIVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut lines = BufReader::new(driver.stdout.take().expect("the output is piped")).lines();
        let port = loop {
            let line = lines.next_line().await.expect("lines");
            let line = line.expect("chromedriver: is it installed? Debian: `apt-get install chromium chromium-driver`");
            if let Some((_, rest)) = line.split_once("successfully on port ") {
                break rest.trim_end_matches('.').to_owned();
            }
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        let driver_url = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { language, origin: app.url(""), session: driver_url, client, _driver: driver };
        let mut args = vec![
            "--headless",
            // The browser ends when the driver does, however that ends.
            "--remote-debugging-pipe",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
        ];
        // Chromium's sandbox does not work for root.
        if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            args.push("--no-sandbox");
        }
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": args, "prefs": { "intl.accept_languages": language.tag() } },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let opened = browser.send(Method::POST, "", Some(capabilities)).await.expect("a browser");
        browser.session = format!("{}/{}", browser.session, opened["sessionId"].as_str().expect("a session"));
        browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        browser
    }

    /// Goes to a page.
    pub async fn visit(&self, path: &str) {
        self.go_to(&format!("{}{path}", self.origin)).await;
    }

    /// Goes anywhere.
    pub async fn go_to(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// Goes back, as with the browser's button.
    pub async fn go_back(&self) {
        self.post("back", json!({})).await;
    }

    /// The path of the page that is shown.
    pub async fn path(&self) -> String {
        let url = self.get("url").await;
        url.as_str().and_then(|url| url.strip_prefix(&self.origin)).expect("a page of the application").to_owned()
    }

    /// Waits until the page of that path is shown and has begun.
    pub async fn arrive(&self, path: &str) {
        self.until(&format!("the page {path}"), async || {
            self.path().await == path && self.run("return document.readyState === 'complete'", &[]).await == true
        })
        .await;
    }

    /// Types into the field of that name, in place of what is there.
    pub async fn fill(&self, field: &str, text: &str) {
        let css = format!("input[name={field}]");
        self.act(&css, "clear", json!({}), async || self.find(&css).await).await;
        self.act(&css, "value", json!({ "text": text }), async || self.find(&css).await).await;
    }

    /// Clicks on what a selector finds first, once it is to be seen.
    pub async fn click(&self, css: &str) {
        self.act(css, "click", json!({}), async || self.find(css).await).await;
    }

    /// Clicks on the visible button or link of that text.
    pub async fn press_on(&self, key: &str) {
        let text = self.language.text(key);
        self.act(&text, "click", json!({}), async || self.find_by_text(&text).await).await;
    }

    /// Does something with an element; again, if its page was replaced in between.
    async fn act(&self, what: &str, action: &str, body: Value, find: impl AsyncFn() -> Option<String>) {
        self.wait_for(what, async || {
            let element = find().await?;
            let done = self.send(Method::POST, &format!("/element/{element}/{action}"), Some(body.clone())).await;
            match done {
                Ok(_) => Some(()),
                Err(error) if error["error"] == "stale element reference" => None,
                Err(error) => panic!("{action} on {what}: {error:#}"),
            }
        })
        .await;
    }

    async fn find(&self, css: &str) -> Option<String> {
        let script = "return [...document.querySelectorAll(arguments[0])].find((element) => element.checkVisibility())";
        reference(&self.run(script, &[json!(css)]).await)
    }

    async fn find_by_text(&self, text: &str) -> Option<String> {
        let script = "return [...document.querySelectorAll('main button, main a, header button')].find((element) =>
            element.textContent.trim() === arguments[0] && element.checkVisibility())";
        reference(&self.run(script, &[json!(text)]).await)
    }

    /// The visible text of what a selector finds first, once it is to be seen.
    pub async fn text(&self, css: &str) -> String {
        let element = self.see(css).await;
        self.get(&format!("element/{element}/text")).await.as_str().expect("a text").to_owned()
    }

    /// Waits until what a selector finds says a sentence.
    pub async fn hear(&self, css: &str, sentence: &str) {
        self.until(&format!("{css} says “{sentence}”"), async || {
            let script = "return document.querySelector(arguments[0])?.textContent ?? ''";
            let said = self.run(script, &[json!(css)]).await;
            said.as_str().is_some_and(|said| said.contains(sentence))
        })
        .await;
    }

    /// Waits until what a selector finds says the sentence of a key.
    pub async fn hear_key(&self, css: &str, key: &str) {
        self.hear(css, &self.language.text(key)).await;
    }

    /// Whether what a selector finds first is to be seen.
    pub async fn sees(&self, css: &str) -> bool {
        let script = "return document.querySelector(arguments[0])?.checkVisibility() ?? false";
        self.run(script, &[json!(css)]).await == true
    }

    /// What has the focus: its `id`, else its element's name.
    pub async fn focused(&self) -> String {
        let script = "return document.activeElement.id || document.activeElement.localName";
        self.run(script, &[]).await.as_str().expect("a name").to_owned()
    }

    /// What a screen reader is given, one line for each node: role and name. It needs no script in the page.
    pub async fn read_aloud(&self) -> String {
        let tree = self.devtools("Accessibility.getFullAXTree", json!({})).await;
        let line = |node: &Value| {
            let value = |key: &str| node[key]["value"].as_str().unwrap_or_default().to_owned();
            (node["ignored"] == false).then(|| format!("{}: {}\n", value("role"), value("name")))
        };
        tree["nodes"].as_array().expect("nodes").iter().filter_map(line).collect()
    }

    /// Presses a key of the keyboard, by its WebDriver character.
    pub async fn press(&self, key: char) {
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": [
            { "type": "keyDown", "value": key }, { "type": "keyUp", "value": key },
        ] }] });
        self.post("actions", actions).await;
    }

    /// Types a text where the focus is.
    pub async fn type_text(&self, text: &str) {
        for character in text.chars() {
            self.press(character).await;
        }
    }

    /// What the QR code on the page says, read off the screen. An element of a page that another has just replaced is stale: the
    /// next look finds the new one.
    pub async fn read_qr_code(&self) -> String {
        self.wait_for("the QR code", async || {
            let is_loaded = "return document.querySelector('img[data-image]')?.naturalWidth > 0";
            let element = self.find("img[data-image]").await?;
            if self.run(is_loaded, &[]).await != true {
                return None;
            }
            // A picture of an element shows what of it is on the screen.
            self.run("document.querySelector('img[data-image]')?.scrollIntoView({ block: 'center' })", &[]).await;
            let picture = self.send(Method::GET, &format!("/element/{element}/screenshot"), None).await.ok()?;
            // It may be loaded and not painted yet.
            find_qr_code(&STANDARD.decode(picture.as_str()?).expect("base64"))
        })
        .await
    }

    /// Runs the body of a function in the page.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// Runs the body of an asynchronous function in the page; its result.
    pub async fn run_async(&self, script: &str, arguments: &[Value]) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async (...arguments) => {{ {script} }})(...arguments).then(done, (error) => done(`${{error}}`));"
        );
        self.post("execute/async", json!({ "script": script, "args": arguments })).await
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// The cookies that the browser holds for the page, with their attributes.
    pub async fn cookies(&self) -> Vec<Value> {
        self.get("cookie").await.as_array().expect("cookies").clone()
    }

    /// Checks what is shown: no rule of accessibility is broken, nothing is cut off on a phone or a screen, not with letters
    /// twice as large either. In French also in the dark, and with pictures of it in `target/screenshots`.
    pub async fn check_view(&self, name: &str) {
        if self.run("return globalThis.axe === undefined", &[]).await == true {
            self.run(&axe(), &[]).await;
        }
        let is_pictured = self.language == Language::French;
        for scheme in if is_pictured { &["light", "dark"][..] } else { &["light"] } {
            let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
            let broken = self.run_async(AXE_RUN, &[]).await;
            assert_eq!(broken, json!([]), "{name}, {scheme}, {}: {broken:#}", self.language.tag());
            for width in [320, 768, 1440] {
                self.resize(width).await;
                self.check_width(name, width).await;
                if is_pictured && (*scheme == "light" || width == 768) {
                    self.keep_picture(&format!("{name}-{width}-{scheme}.png")).await;
                }
            }
        }
        self.run("document.documentElement.style.fontSize = '200%'", &[]).await;
        for width in [320, 1280] {
            self.resize(width).await;
            self.check_width(name, width).await;
        }
        self.run("document.documentElement.style.fontSize = ''", &[]).await;
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
    }

    async fn keep_picture(&self, file: &str) {
        let folder = checkout().join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(file), self.whole_page().await).expect("a file");
    }

    async fn resize(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    async fn check_width(&self, name: &str, width: u32) {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        let beyond = self.run(script, &[]).await;
        assert_eq!(beyond, 0, "{name} at {width} is wider than the screen, {}", self.language.tag());
    }

    async fn whole_page(&self) -> Vec<u8> {
        let picture = self.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        STANDARD.decode(picture["data"].as_str().expect("base64")).expect("base64")
    }

    /// What the browser's console said since it was last asked that nobody wants to read there; a function's refusal is no error
    /// of the page.
    pub async fn complaints(&self) -> Vec<String> {
        let is_refusal = |message: &str| {
            message.contains("/function/")
                && message.contains("Failed to load resource: the server responded with a status")
        };
        let entries = self.log("browser").await;
        let message = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        entries.iter().filter(|entry| entry["level"] != "INFO").map(message).filter(|text| !is_refusal(text)).collect()
    }

    /// What the pages asked for since the network was last looked at: addresses, with those inside of pages left out.
    pub async fn requested(&self) -> Vec<String> {
        let events = self.log("performance").await;
        let address = |event: &Value| {
            let event: Value = serde_json::from_str(event["message"].as_str()?).ok()?;
            let is_request = event["message"]["method"] == "Network.requestWillBeSent";
            let url = event["message"]["params"]["request"]["url"].as_str().filter(|url| !url.starts_with("data:"))?;
            is_request.then(|| url.to_owned())
        };
        events.iter().filter_map(address).collect()
    }

    /// Ends the visit: the console has nothing to complain about, and nothing was asked of anybody else.
    #[track_caller]
    pub fn leave(self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let complaints = self.complaints().await;
            assert!(complaints.is_empty(), "{place}: the console says {complaints:#?}");
            for url in self.requested().await {
                assert!(url.starts_with(&format!("{}/", self.origin)), "{place}: {url} was asked for");
            }
        }
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        self.post("se/log", json!({ "type": kind })).await.as_array().expect("entries").clone()
    }

    /// Waits until what a selector finds first is to be seen; its reference.
    pub async fn see(&self, css: &str) -> String {
        self.wait_for(css, async || self.find(css).await).await
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        self.wait_for(what, async || is_so().await.then_some(())).await;
    }

    async fn wait_for<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        });
        if let Ok(seen) = seen.await {
            return seen;
        }
        let page = self.run("return document.querySelector('main')?.innerText", &[]).await;
        panic!("waited for {what} on {}:\n{page}\n{:#?}", self.path().await, self.complaints().await)
    }

    async fn get(&self, command: &str) -> Value {
        let got = self.send(Method::GET, &format!("/{command}"), None).await;
        got.unwrap_or_else(|error| panic!("{command}: {error:#}"))
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let done = self.send(Method::POST, &format!("/{command}"), Some(body)).await;
        done.unwrap_or_else(|error| panic!("{command}: {error:#}"))
    }

    /// The value of an answer, or its error.
    async fn send(&self, method: Method, command: &str, body: Option<Value>) -> Result<Value, Value> {
        let request = Request::builder().method(method).uri(format!("{}{command}", self.session));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::new(body.into())).expect("a request");
        let answer = async {
            let answer = self.client.request(request).await.expect("an answer of the driver");
            let status = answer.status();
            (status, answer.into_body().collect().await.expect("a body").to_bytes())
        };
        let answer = tokio::time::timeout(4 * PATIENCE, answer).await;
        let (status, body) = answer.unwrap_or_else(|_| panic!("the browser does not answer {command}"));
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        let value = answer["value"].take();
        if status.is_success() { Ok(value) } else { Err(value) }
    }
}

fn reference(value: &Value) -> Option<String> {
    value[ELEMENT].as_str().map(str::to_owned)
}

/// Every rule that axe has, those that are only good advice included; what breaks one.
const AXE_RUN: &str = "const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => [html, failureSummary]) }));";

fn axe() -> String {
    let path = checkout().join("tests/browser/node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(path).expect("axe-core: `npm ci` in tests/browser, which `cargo xtask test` runs")
}
