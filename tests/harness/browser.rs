//! A person at a screen: headless Chromium, driven by `fantoccini` over the W3C WebDriver protocol.

use crate::app::TestApp;
use crate::language::Language;
use crate::qr::find_qr_code;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

/// Runs the driver until standard input closes, which it does however a test ends. What browsers leave behind goes with it.
/// They write while they end, so it goes more than once.
const DRIVER: &str = "export TMPDIR=$(mktemp -d); chromedriver --port=0 & driver=$!; cat >/dev/null; kill $driver; \
                      wait $driver; for second in 1 2 3; do sleep 1; rm -rf \"$TMPDIR\"; done";

/// What a page is given to show something.
const PATIENCE: Duration = Duration::from_secs(15);

/// A browser, with nothing in it at first.
pub struct Browser {
    /// The language that it asks for.
    pub language: Language,
    origin: String,
    client: Client,
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
        let capabilities = json!({
            "goog:chromeOptions": { "args": args, "prefs": { "intl.accept_languages": language.tag() } },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&format!("http://127.0.0.1:{port}")).await;
        let client = client.unwrap_or_else(|error| panic!("a browser: {error}"));
        let browser = Self { language, origin: app.url(""), client, _driver: driver };
        browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        browser
    }

    /// Goes to a page.
    pub async fn visit(&self, path: &str) {
        self.go_to(&format!("{}{path}", self.origin)).await;
    }

    /// Goes anywhere.
    pub async fn go_to(&self, url: &str) {
        within("going to a page", self.client.goto(url)).await;
    }

    /// Goes back, as with the browser's button.
    pub async fn go_back(&self) {
        within("going back", self.client.back()).await;
    }

    /// The path of the page that is shown.
    pub async fn path(&self) -> String {
        let url = within("the address", self.client.current_url()).await;
        url.as_str().strip_prefix(&self.origin).expect("a page of the application").to_owned()
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
        self.act(&css, async || self.find(&css).await, async |element| element.clear().await).await;
        self.act(&css, async || self.find(&css).await, async |element| element.send_keys(text).await).await;
    }

    /// Clicks on what a selector finds first, once it is to be seen.
    pub async fn click(&self, css: &str) {
        self.act(css, async || self.find(css).await, async |element| element.click().await).await;
    }

    /// Clicks on the visible button or link of that text.
    pub async fn press_on(&self, key: &str) {
        let text = self.language.text(key);
        self.act(&text, async || self.find_by_text(&text).await, async |element| element.click().await).await;
    }

    /// Does something with an element; again, if its page was replaced in between.
    async fn act(
        &self,
        what: &str,
        find: impl AsyncFn() -> Option<Element>,
        action: impl AsyncFn(&Element) -> Result<(), CmdError>,
    ) {
        self.wait_for(what, async || match action(&find().await?).await {
            Ok(()) => Some(()),
            Err(error) if error.is_stale_element_reference() => None,
            Err(error) => panic!("{what}: {error}"),
        })
        .await;
    }

    async fn find(&self, css: &str) -> Option<Element> {
        let script = "return [...document.querySelectorAll(arguments[0])].find((element) => element.checkVisibility())";
        self.element(&self.run(script, &[json!(css)]).await)
    }

    async fn find_by_text(&self, text: &str) -> Option<Element> {
        let script = "return [...document.querySelectorAll('main button, main a, header button')].find((element) =>
            element.textContent.trim() === arguments[0] && element.checkVisibility())";
        self.element(&self.run(script, &[json!(text)]).await)
    }

    /// The element that a script returned, if it returned one.
    fn element(&self, reference: &Value) -> Option<Element> {
        let id = reference.as_object()?.values().next()?.as_str()?.to_owned();
        Some(Element::from_element_id(self.client.clone(), id.into()))
    }

    /// The visible text of what a selector finds first, once it is to be seen.
    pub async fn text(&self, css: &str) -> String {
        let element = self.find_soon(css).await;
        within("a text", element.text()).await
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
        let actions = KeyActions::new("keyboard".to_owned());
        let actions = actions.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        within("a key", self.client.perform_actions(actions)).await;
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
            // It may be loaded and not painted yet.
            find_qr_code(&element.screenshot().await.ok()?)
        })
        .await
    }

    /// Runs the body of a function in the page.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        within(script, self.client.execute(script, arguments.to_vec())).await
    }

    /// Runs the body of an asynchronous function in the page; its result.
    pub async fn run_async(&self, script: &str, arguments: &[Value]) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async (...arguments) => {{ {script} }})(...arguments).then(done, (error) => done(`${{error}}`));"
        );
        within(&script, self.client.execute_async(&script, arguments.to_vec())).await
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.extension("goog/cdp/execute", Some(json!({ "cmd": command, "params": parameters }))).await
    }

    /// The cookies that the browser holds for the page, with their attributes.
    pub async fn cookies(&self) -> Vec<Value> {
        self.extension("cookie", None).await.as_array().expect("cookies").clone()
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
        self.extension("se/log", Some(json!({ "type": kind }))).await.as_array().expect("entries").clone()
    }

    /// Waits until what a selector finds first is to be seen.
    pub async fn see(&self, css: &str) {
        self.find_soon(css).await;
    }

    async fn find_soon(&self, css: &str) -> Element {
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

    /// A command that `fantoccini` does not know; a body makes it a POST.
    async fn extension(&self, path: &'static str, body: Option<Value>) -> Value {
        within(path, self.client.issue_cmd(Extension { path, body })).await
    }
}

/// The result of a command. A browser that does not answer, or refuses, fails the test.
async fn within<T>(what: &str, command: impl Future<Output = Result<T, CmdError>>) -> T {
    let done = tokio::time::timeout(4 * PATIENCE, command).await;
    done.unwrap_or_else(|_| panic!("the browser does not answer: {what}"))
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// A command of Chromium's driver beside the standard's.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Option<Value>,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let method = if self.body.is_some() { Method::POST } else { Method::GET };
        (method, self.body.as_ref().map(Value::to_string))
    }
}
