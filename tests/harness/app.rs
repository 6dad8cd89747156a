//! The running functions.

use crate::answer::Answer;
use crate::checkout::checkout;
use crate::clock::TestClock;
use crate::database::{Database, TestServer};
use crate::openapi::check_documented;
use crate::proxy::Proxy;
use crate::settings::Settings;
use crate::wire::Wire;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cofrap_crypto::{Identity, Keyring, Sealed, SecretColumn, TokenKeys};
use cofrap_host::{Ambient, App, Authorities, Engine, Manifest, Options, RandomSource, VariableRead, serve};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// The test run's keys: made up here, for nothing else.
pub static KEY: LazyLock<String> = LazyLock::new(|| STANDARD.encode(b"key of the acceptance tests only"));

/// The key that signs tokens.
static TOKEN_KEY: LazyLock<String> = LazyLock::new(|| STANDARD.encode(b"signing key of acceptance tests!"));

/// The operator's token.
pub const ADMIN_TOKEN: &str = "operator token of the acceptance tests";

/// A password that is strong enough for anybody.
pub const CHOSEN_PASSWORD: &str = "Kalt-Regen-42";

/// One engine serves every test: components are compiled once.
pub(crate) static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(&checkout().join("target/wasmtime-cache")).expect("wasmtime can be set up"));

/// How long a request may take on a machine that has much else to do.
const LONGEST_ANSWER: Duration = Duration::from_mins(3);

/// The application of one test.
pub struct TestApp {
    /// The functions' clock.
    pub clock: TestClock,
    /// The functions' database.
    pub database: Arc<Database>,
    /// Where they listen.
    pub address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    log: Arc<Mutex<String>>,
    reads: Arc<Mutex<Vec<VariableRead>>>,
    /// The address that a proxy is said to have seen, where a test has one for all its requests.
    address_header: Option<String>,
    /// The operator's token.
    pub operator: String,
    /// What stands before them, if something does.
    #[expect(dead_code, reason = "it stops with the functions")]
    proxy: Option<Proxy>,
}

impl TestApp {
    /// Starts the functions on a fresh database.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// The same, with settings.
    pub async fn start_with(settings: Settings) -> Self {
        let database = TestServer::get().await.migrated_database().await;
        Self::start_on(database, settings).await
    }

    /// The functions wherever they run: the ones that `cargo xtask test --host-url` names, or fresh ones on this host with the
    /// machine's clock. Each test has names and an address of its own: the functions must trust one proxy
    /// (`trusted_proxy_hops=1`).
    #[expect(clippy::disallowed_methods, reason = "`cargo xtask test` passes on what its flags say")]
    pub async fn anywhere() -> Self {
        let address = format!("2001:db8:{:x}:{:x}::1", rand_u16(), rand_u16());
        let variable = |name: &str| std::env::var(name).ok();
        let (Some(url), Some(database)) = (variable("COFRAP_HOST_URL"), variable("COFRAP_DATABASE_URL")) else {
            let database = TestServer::get().await.migrated_database().await;
            let clock = TestClock::of_the_machine();
            let app = Self::start_at(Arc::new(database), clock, Settings::behind_a_proxy()).await;
            return Self { address_header: Some(address), ..app };
        };
        let place = url.strip_prefix("http://").expect("the host's URL is http://host:port").trim_end_matches('/');
        let address_of_host = tokio::net::lookup_host(place).await.expect("the host has an address").next();
        Self {
            clock: TestClock::of_the_machine(),
            database: Arc::new(Database::at(&database).await),
            address: address_of_host.expect("an address"),
            client: Client::builder(TokioExecutor::new()).build_http(),
            log: Arc::default(),
            reads: Arc::default(),
            address_header: Some(address),
            operator: variable("COFRAP_ADMIN_TOKEN").unwrap_or_default(),
            proxy: None,
        }
    }

    /// The functions with nginx before them, as `deploy/nginx` has it but for some words. It counts as one hop, and what the tests say of
    /// their addresses as another.
    pub async fn behind_nginx(settings: Settings, replaced: &[(&str, &str)]) -> Self {
        let database = TestServer::get().await.migrated_database().await;
        let app = Self::start_on(database, settings).await;
        let proxy = Proxy::before(app.address, replaced).await;
        Self { address: proxy.address(), proxy: Some(proxy), ..app }
    }

    /// The same, where each test has an address of its own and no limit on its requests: what [`Self::anywhere`] is without a proxy.
    pub async fn anywhere_behind_nginx() -> Self {
        let address = format!("2001:db8:{:x}:{:x}::1", rand_u16(), rand_u16());
        let settings = Settings::variable("trusted_proxy_hops", "2");
        // Operators and health are asked through it too.
        let open = [("rate=50r/s", "rate=10000r/s"), ("burst=100", "burst=10000"), ("(activity|", "(.*|activity|")];
        Self { address_header: Some(address), ..Self::behind_nginx(settings, &open).await }
    }

    /// A name that no other test, and no other run, has.
    pub fn unique_name(&self, name: &str) -> String {
        format!("{name}.{:x}{:x}", rand_u16(), rand_u16())
    }

    /// Starts the functions on a fresh database at the end of a wire.
    pub async fn start_on_a_wire() -> (Self, Wire) {
        let database = TestServer::get().await.migrated_database().await;
        let wire = Wire::to(database.port()).await;
        let settings = Settings::variables(database.variables_at(wire.port()));
        (Self::start_on(database, settings).await, wire)
    }

    /// Starts the functions on a database.
    pub async fn start_on(database: Database, settings: Settings) -> Self {
        Self::start_at(Arc::new(database), TestClock::new(), settings).await
    }

    async fn start_at(database: Arc<Database>, clock: TestClock, settings: Settings) -> Self {
        let log = Arc::new(Mutex::new(String::new()));
        let mut variables = database.variables();
        for (name, value) in [("encryption_key", &*KEY), ("jwt_secret", &*TOKEN_KEY)] {
            variables.insert(name.to_owned(), value.clone());
        }
        variables.insert("admin_token".to_owned(), ADMIN_TOKEN.to_owned());
        variables.insert("settings".to_owned(), settings.text());
        let reads = Arc::new(Mutex::new(Vec::new()));
        let options = Options {
            manifest: Manifest::read(&checkout().join("spin.toml")).expect("the manifest is readable"),
            variables: vec![settings.variables, variables],
            authorities: Authorities::default(),
            ambient: Ambient {
                clock: Some(clock.for_guests()),
                random: settings
                    .seed
                    .map(|seed| -> RandomSource { Arc::new(move || Box::new(ChaCha20Rng::seed_from_u64(seed))) }),
                reads: {
                    let reads = Arc::clone(&reads);
                    Some(Arc::new(move |read| {
                        reads.lock().expect("no test panics while it holds the reads").push(read);
                    }))
                },
                fuel: None,
            },
            output: {
                let log = Arc::clone(&log);
                Arc::new(move |line| {
                    let mut log = log.lock().expect("no test panics while it holds the log");
                    log.push_str(line);
                    log.push('\n');
                })
            },
        };
        let app = Arc::new(App::load(&ENGINE, options).expect("the components are built: `cargo xtask build`"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(app, listener, std::future::pending()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let operator = ADMIN_TOKEN.to_owned();
        Self { clock, database, address, client, log, reads, address_header: None, operator, proxy: None }
    }

    /// The same functions with other settings, on the same database and clock.
    pub async fn restart_with(&self, settings: Settings) -> Self {
        Self::start_at(Arc::clone(&self.database), self.clock.clone(), settings).await
    }

    /// The same functions on another database, with the same clock.
    pub async fn restart_elsewhere(&self, database: Database) -> Self {
        Self::start_at(Arc::new(database), self.clock.clone(), Settings::default()).await
    }

    /// What tokens of an account are bound to: the identity of the account and of the database.
    pub async fn identity(&self, username: &str) -> Identity {
        let question = format!(
            "SELECT encode(decode(u.identity || i.identity, 'hex'), 'base64') FROM users_v2 u, installation i
             WHERE u.username = '{username}'"
        );
        let identity = self.database.text(&question).await.replace('\n', "");
        STANDARD.decode(identity).expect("base64").try_into().expect("32 bytes")
    }

    /// Calls a function with a JSON body.
    pub async fn call(&self, function: &str, body: Value) -> Answer {
        self.post(&format!("/function/{function}"), "application/json", body.to_string()).await
    }

    /// The same, with a bearer token.
    pub async fn call_as(&self, bearer: &str, function: &str, body: Value) -> Answer {
        let request = Request::post(self.url(&format!("/function/{function}")))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {bearer}"));
        self.send(request.body(Full::new(body.to_string().into())).expect("a request")).await
    }

    /// The same, from an address that the proxy saw: see [`Settings::behind_a_proxy`].
    pub async fn call_from(&self, address: &str, function: &str, body: Value) -> Answer {
        let request = Request::post(self.url(&format!("/function/{function}")))
            .header("content-type", "application/json")
            .header("x-forwarded-for", address);
        self.send(request.body(Full::new(body.to_string().into())).expect("a request")).await
    }

    /// Posts a body.
    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(self.url(path)).header("content-type", content_type);
        self.send(request.body(Full::new(body.into())).expect("a request")).await
    }

    /// Sends a request without a body.
    pub async fn request(&self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(self.url(path));
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// The same, with a bearer token.
    pub async fn request_as(&self, bearer: &str, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(self.url(path));
        let request = request.header("authorization", format!("Bearer {bearer}"));
        self.send(request.body(Full::default()).expect("a request")).await
    }

    /// Sends what a page of this site sends, with a browser's cookie and more headers.
    pub async fn from_page(
        &self,
        method: Method,
        path: &str,
        cookie: &str,
        more: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let request = Request::builder().method(method).uri(self.url(path));
        let request = more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = if cookie.is_empty() { request } else { request.header("cookie", cookie) };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(request.body(Full::new(body.into())).expect("a request")).await
    }

    /// Sends a request, and takes whatever bytes come back. One that is never answered fails its test, instead of holding up all of them.
    pub async fn fetch(&self, mut request: Request<Full<Bytes>>) -> (http::response::Parts, Bytes) {
        if let Some(address) = &self.address_header {
            request.headers_mut().append("x-forwarded-for", address.parse().expect("an address is ASCII"));
        }
        let answered = async {
            let (parts, body) = self.client.request(request).await.expect("an answer").into_parts();
            (parts, body.collect().await.expect("a body").to_bytes())
        };
        tokio::time::timeout(LONGEST_ANSWER, Box::pin(answered)).await.expect("an answer in time")
    }

    /// Sends a request. What comes back is what `openapi.json` says.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (parts, body) = self.fetch(request).await;
        let body = String::from_utf8(body.to_vec()).expect("UTF-8");
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
        check_documented(&method, &path, &answer);
        answer
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the functions printed so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no test panics while it holds the log").clone()
    }

    /// A Fernet token of a text, as another program writes it.
    pub fn fernet(&self, clear: &str) -> String {
        keyring().seal(clear, 0, SecretColumn::Password.of("")).token().to_owned()
    }

    /// A bcrypt hash of a text, as another program writes it: of the lowest cost, to be quick.
    pub fn bcrypt(&self, clear: &str) -> String {
        bcrypt::hash_with_salt(clear, 4, *b"a salt for tests").expect("a valid cost").to_string()
    }

    /// What a stored token says.
    pub fn unseal(&self, token: String) -> String {
        let sealed = Sealed::from_stored(token, None, None);
        keyring()
            .open(&sealed, SecretColumn::Password.of(""))
            .expect("it opens under the test run's key")
            .clear
            .to_string()
    }

    /// The variables that were read since the last call.
    pub fn take_reads(&self) -> Vec<VariableRead> {
        std::mem::take(&mut *self.reads.lock().expect("no test panics while it holds the reads"))
    }

    /// What signs the functions' tokens.
    pub fn token_keys(&self) -> TokenKeys {
        TOKEN_KEY.parse().expect("a key")
    }
}

#[expect(clippy::disallowed_methods, reason = "names that no other run has")]
fn rand_u16() -> u16 {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    u16::from_le_bytes(bytes)
}

fn keyring() -> Keyring {
    KEY.parse().expect("a key")
}
