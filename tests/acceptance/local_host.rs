//! The local host: what it must copy of Spin, as the components can see it.

use cofrap_host::{LocalPostgres, PostgresHome, VariableSource};
use cofrap_tests::{Database, Probe, TestApp, TestServer};
use std::time::Duration;
use tokio_postgres::NoTls;

const ONE_ROUTE: &str = r#"
spin_manifest_version = 2
[application]
name = "probe"
[variables]
host = { default = "127.0.0.1" }
port = { default = "1" }
a_secret = { required = true, secret = true }
unseen = { default = "unseen" }
[[trigger.http]]
route = "/..."
component = "probe"
[component.probe]
source = "{probe}"
allowed_outbound_hosts = ["postgres://{{ host }}:{{ port }}"]
[component.probe.variables]
seen = "<{{ a_secret }}>"
"#;

fn variables(pairs: &[(&str, &str)]) -> VariableSource {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn probe() -> Probe {
    Probe::start(ONE_ROUTE, variables(&[("a_secret", "value")])).await
}

/// A probe with a database, and the database's address.
async fn probe_with_database() -> (Probe, Database, String) {
    let database = TestServer::get().await.empty_database().await;
    let port = database.port().to_string();
    let probe = Probe::start(ONE_ROUTE, variables(&[("a_secret", "value"), ("port", &port)])).await;
    let address = database.url_of_the_owner();
    (probe, database, address)
}

#[tokio::test]
async fn a_path_without_a_route_is_404_with_an_empty_body() {
    let manifest = ONE_ROUTE.replace("/...", "/only");
    let probe = Probe::start(&manifest, variables(&[("a_secret", "value")])).await;
    assert_eq!(probe.send("/other", &[], "").await, (404, String::new()));
}

#[tokio::test]
async fn spin_tells_the_component_about_its_route_and_nothing_else() {
    let probe = Probe::start(&ONE_ROUTE.replace("/...", "/a/..."), variables(&[("a_secret", "value")])).await;
    let (_, headers) = probe.send("/a/b/c?d=e", &[b"x-mine: 1"], "").await;
    let mut spin_s: Vec<_> = headers.lines().filter(|line| line.starts_with("spin-")).collect();
    spin_s.sort_unstable();
    let expected = [
        "spin-base-path: /",
        "spin-client-addr: 127.0.0.1:",
        "spin-component-route: /a",
        "spin-full-url: http://probe.test/a/b/c?d=e",
        "spin-matched-route: /a/...",
        "spin-path-info: /b/c",
        "spin-raw-component-route: /a/...",
    ];
    assert_eq!(spin_s.len(), expected.len(), "{headers}");
    for (line, expected) in spin_s.iter().zip(expected) {
        assert!(*line == expected || expected.ends_with(':') && line.starts_with(expected), "{line}");
    }
    assert!(headers.contains("x-mine: 1\n"), "{headers}");
}

#[tokio::test]
async fn a_forged_header_stays_before_spin_s_own() {
    let probe = probe().await;
    let (_, headers) = probe.send("/", &[b"spin-client-addr: 203.0.113.7:1"], "").await;
    let addresses: Vec<_> = headers.lines().filter_map(|line| line.strip_prefix("spin-client-addr: ")).collect();
    assert!(addresses.len() == 2 && addresses[0] == "203.0.113.7:1", "{headers}");
    assert!(addresses[1].starts_with("127.0.0.1:"), "{headers}");
}

#[tokio::test]
async fn an_exact_route_has_no_path_info_and_parameters_have_headers() {
    let exact = Probe::start(&ONE_ROUTE.replace("/...", "/a/:Name"), variables(&[("a_secret", "value")])).await;
    let (_, headers) = exact.send("/a/me", &[], "").await;
    assert!(!headers.contains("spin-path-info"), "{headers}");
    assert!(headers.contains("spin-path-match-name: me\n"), "{headers}");
}

#[tokio::test]
async fn every_request_has_a_fresh_instance() {
    let probe = probe().await;
    for _ in 0..3 {
        assert_eq!(probe.ask("/requests", "").await, "1");
    }
}

#[tokio::test]
async fn a_trap_is_500_with_an_empty_body_and_the_next_request_is_served() {
    let probe = probe().await;
    assert_eq!(probe.send("/trap", &[], "").await, (500, String::new()));
    assert_eq!(probe.ask("/requests", "").await, "1");
}

#[tokio::test]
async fn a_header_that_is_not_utf_8_is_500_before_the_component() {
    let probe = probe().await;
    assert_eq!(probe.send("/print", &[b"x-odd: \xff"], "line").await, (500, String::new()));
    assert!(probe.log().is_empty());
}

#[tokio::test]
async fn the_platform_s_own_routes_never_touch_a_component() {
    let probe = probe().await;
    assert_eq!(probe.send("/.well-known/spin/health", &[], "").await, (200, "OK".to_owned()));
    let (status, info) = probe.send("/.well-known/spin/info", &[], "").await;
    assert_eq!((status, info.as_str()), (200, "{\n  \"name\": \"probe\"\n}"));
    assert_eq!(probe.send("/.well-known/spin/other", &[], "").await.0, 404);
    assert!(probe.log().is_empty());
}

#[tokio::test]
async fn a_request_for_nobody_or_for_somebody_else_is_closed_without_a_byte() {
    let probe = probe().await;
    for head in [
        "POST /print HTTP/1.1\r\n",
        "POST /print HTTP/1.1\r\nHost:\r\n",
        "POST /print HTTP/1.1\r\nHost: a b\r\n",
        "POST /print HTTP/1.1\r\nHost: \u{e9}\r\n",
        "POST http://other.test/print HTTP/1.1\r\nHost: probe.test\r\n",
        "CONNECT probe.test:443 HTTP/1.1\r\nHost: probe.test:443\r\n",
    ] {
        assert_eq!(probe.send_raw(&format!("{head}Content-Length: 0\r\n\r\n")).await, "", "{head}");
    }
    assert!(probe.log().is_empty(), "{:?}", probe.log());
    for head in [
        "POST http://probe.test/requests HTTP/1.1\r\n",
        "POST http://probe.test/requests HTTP/1.1\r\nHost: probe.test\r\n",
    ] {
        let answer = probe.send_raw(&format!("{head}Connection: close\r\nContent-Length: 0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{head}: {answer}");
    }
}

/// Spin has no such limit; see docs/spin.md on what must stand before it.
#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_after_thirty_seconds() {
    let probe = probe().await;
    let head = "POST /requests HTTP/1.1\r\nHost: probe.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nab";
    let answer = tokio::time::timeout(Duration::from_secs(45), probe.send_raw(head)).await.expect("it is given up");
    assert!(answer.starts_with("HTTP/1.1 200"), "the probe answers with what it has: {answer}");
}

#[tokio::test]
async fn output_is_prefixed_with_the_component_s_name() {
    let probe = probe().await;
    probe.ask("/print", "hello").await;
    assert_eq!(probe.log(), ["[probe] hello"]);
}

#[tokio::test]
async fn a_component_sees_its_own_variables_only() {
    let probe = probe().await;
    assert_eq!(probe.ask("/variable", "seen").await, r#"Ok("<value>")"#);
    assert_eq!(probe.ask("/variable", "unseen").await, r#"Err(Error::Undefined("unseen"))"#);
    assert_eq!(probe.ask("/variable", "Not-A-Name").await, r#"Err(Error::InvalidName("Not-A-Name"))"#);
}

#[tokio::test]
async fn a_required_variable_without_a_value_stops_the_start_with_its_name() {
    let error = Probe::refusal(ONE_ROUTE, variables(&[]));
    assert!(error.contains("a_secret"), "{error}");
}

#[tokio::test]
async fn a_manifest_that_spin_or_this_host_refuses_is_refused_with_its_file_its_line_and_the_remedy() {
    for (from, to, line, word) in [
        ("[component.probe]\n", "[component.probe]\nkey_value_stores = [\"default\"]\n", 14, "key_value_stores"),
        ("[component.probe]\n", "[component.probe]\nfiles = [\"*\"]\n", 14, "files"),
        ("[application]\n", "[application]\nnmae = \"x\"\n", 4, "nmae"),
        ("secret = true", "sercet = true", 8, "sercet"),
        ("postgres://{{ host }}:{{ port }}", "https://example.org", 15, "postgres://host:port"),
        ("postgres://{{ host }}:{{ port }}", "postgres://[::1]:5432", 15, "IPv6"),
        ("postgres://{{ host }}:{{ port }}", "postgres://a,b:5432", 15, "write one name"),
        ("postgres://{{ host }}:{{ port }}", "postgres://{{ host", 15, "close `{{`"),
        ("postgres://{{ host }}:{{ port }}", "postgres://{{ nothing }}:1", 15, "declare the variable `nothing`"),
        ("component = \"probe\"", "component = \"nothing\"", 12, "declare [component.nothing]"),
        ("component = \"probe\"", "component = \"verify-2fa\"", 12, "start with a letter"),
        ("[component.probe", "[component.verify-2fa", 13, "let the word `2fa` start with a letter"),
        ("[component.probe", "[component.a_probe", 13, "take `_` out"),
        ("a_secret = {", "a__secret = {", 8, "one `_` between"),
        ("seen = ", "Seen = ", 17, "lower case"),
        ("seen = ", "a-b = ", 17, "take `-` out"),
        ("default = \"127.0.0.1\"", "default = \"\"", 15, "with the default of its variables"),
        ("default = \"127.0.0.1\"", "default = \"::1\"", 15, "IPv6"),
        ("<{{ a_secret }}>", "{{ nothing }}", 17, "declare the variable `nothing`"),
        ("<{{ a_secret }}>", "{{ a_secret", 17, "close `{{`"),
        ("route = \"/...\"", "route = \"no/slash\"", 11, "let it start with /"),
        ("route = \"/...\"", "ruote = \"/...\"", 11, "ruote"),
        ("default = \"unseen\"", "secret = true", 9, "required = true"),
        ("spin_manifest_version = 2", "spin_manifest_version = 1", 2, "spin_manifest_version"),
    ] {
        let refusal = Probe::refusal(&ONE_ROUTE.replace(from, to), variables(&[("a_secret", "value")]));
        assert!(refusal.contains(".toml") && refusal.contains(word), "{to}: {refusal}");
        assert!(refusal.contains(&format!("line {line}")), "{to}: line {line}: {refusal}");
    }
}

#[tokio::test]
async fn a_value_that_makes_no_allowed_host_stops_the_start() {
    let given = variables(&[("a_secret", "value"), ("host", "::1")]);
    assert!(Probe::refusal(ONE_ROUTE, given).contains("IPv6"));
}

#[tokio::test]
async fn a_clock_before_1970_is_an_error_and_no_panic() {
    let app = TestApp::start().await;
    let now = app.clock.now();
    app.clock.advance(-now - 1);
    let (parts, body) =
        app.fetch(http::Request::get(app.url("/function/health")).body(http_body_util::Full::default()).unwrap()).await;
    assert_eq!((parts.status.as_u16(), body.len()), (500, 0));
    assert!(app.log().contains("the clock stands before 1970"), "{}", app.log());
    app.clock.advance(now + 1);
    app.request(http::Method::GET, "/function/health").await.ok();
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused_in_spin_s_words() {
    let probe = probe().await;
    for (address, words) in [
        ("host=127.0.0.1 port=2", "address postgres://127.0.0.1:2 is not permitted"),
        ("postgres://u:p@evil.test:1/d", "address postgres://evil.test:1 is not permitted"),
    ] {
        assert_eq!(probe.ask("/open", address).await, format!(r#"Err(Error::ConnectionFailed("{words}"))"#));
    }
}

#[tokio::test]
async fn a_connection_that_fails_is_connection_failed() {
    let answer = probe().await.ask("/open", "host=127.0.0.1 port=1 user=u").await;
    assert!(answer.starts_with("Err(Error::ConnectionFailed("), "{answer}");
}

#[tokio::test]
async fn values_come_back_in_spin_s_types() {
    let (probe, _database, address) = probe_with_database().await;
    let statement = "SELECT true, 1::int2, 2::int4, 3::int8, 'a'::text, 'b'::varchar, '\\x01'::bytea, NULL::int4, '127.0.0.1'::inet";
    let answer = probe.ask("/query", &format!("{address}\n{statement}")).await;
    for value in [
        "Boolean(true)",
        "Int16(1)",
        "Int32(2)",
        "Int64(3)",
        r#"Str("a")"#,
        r#"Str("b")"#,
        "Binary([1])",
        "DbNull",
        "Unsupported([",
    ] {
        assert!(answer.contains(value), "{value} in {answer}");
    }
}

/// Spin 4.0.0 to 4.0.2 never answers it, and keeps its connection for good.
#[tokio::test]
async fn a_query_without_rows_fails_loudly_with_the_statement_in_the_log() {
    let (probe, _database, address) = probe_with_database().await;
    let query = format!("{address}\n/* nothing_there */ SELECT 1 WHERE false");
    assert_eq!(probe.send("/query", &[], &query).await, (500, String::new()));
    let log = probe.log().join("\n");
    assert!(log.contains("[probe] failed: ") && log.contains("/* nothing_there */ SELECT 1 WHERE false"), "{log}");
    assert_eq!(probe.ask("/execute", &query).await, "Ok(0)");
}

#[tokio::test]
async fn parameters_are_strict() {
    let (probe, _database, address) = probe_with_database().await;
    let ask = async |statement: &str, parameter: &str| {
        probe.ask("/query", &format!("{address}\n{statement}\n{parameter}")).await
    };
    assert!(ask("SELECT $1::int8", "int64 5").await.contains("Int64(5)"));
    assert!(ask("SELECT $1::int8", "int32 5").await.contains("QueryFailed(QueryError::Text("));
    assert!(ask("SELECT $1::inet", "str 127.0.0.1").await.contains("QueryFailed(QueryError::Text("));
    assert!(ask("SELECT ($1::text::inet)::text", "str 127.0.0.1").await.contains(r#"Str("127.0.0.1/32")"#));
    assert!(ask("SELECT $1::int8", "null").await.contains("DbNull"));
}

#[tokio::test]
async fn a_timestamptz_cannot_be_read_and_its_epoch_can() {
    let (probe, _database, address) = probe_with_database().await;
    let answer = probe.ask("/query", &format!("{address}\nSELECT to_timestamp(0)")).await;
    assert!(answer.starts_with("Err(Error::QueryFailed(QueryError::Text("), "{answer}");
    let answer = probe.ask("/query", &format!("{address}\nSELECT extract(epoch FROM to_timestamp(5))::int8")).await;
    assert!(answer.contains("Int64(5)"), "{answer}");
}

#[tokio::test]
async fn a_server_s_error_is_structured_and_a_bad_parameter_is_named_by_the_call() {
    let (probe, _database, address) = probe_with_database().await;
    let answer = probe.ask("/query", &format!("{address}\nSELECT 1 / 0")).await;
    assert!(answer.contains("QueryFailed(QueryError::DbError(") && answer.contains(r#"code: "22012""#), "{answer}");
    let answer = probe.ask("/query", &format!("{address}\nSELECT $1::uuid\nuuid x")).await;
    assert!(answer.starts_with("Err(Error::BadParameter("), "{answer}");
    let answer = probe.ask("/execute", &format!("{address}\nSELECT $1::uuid\nuuid x")).await;
    assert!(answer.starts_with("Err(Error::ValueConversionFailed("), "{answer}");
}

#[tokio::test]
async fn an_open_transaction_is_inherited_by_the_next_request() {
    let (probe, database, address) = probe_with_database().await;
    probe.ask("/execute", &format!("{address}\nCREATE TABLE t (n int4)")).await;
    probe.ask("/execute", &format!("{address}\nBEGIN")).await;
    probe.ask("/execute", &format!("{address}\nINSERT INTO t VALUES (1)")).await;
    assert_eq!(database.count("SELECT count(*) FROM t").await, 0);
    probe.ask("/execute", &format!("{address}\nCOMMIT")).await;
    assert_eq!(database.count("SELECT count(*) FROM t").await, 1);
}

#[tokio::test]
async fn a_connection_is_cleaned_before_the_next_request_has_it() {
    let (probe, _database, address) = probe_with_database().await;
    let ask = async |statement: &str| probe.ask("/query", &format!("{address}\n{statement}")).await;
    let backend = ask("SELECT pg_backend_pid()").await;
    ask("SET statement_timeout = '77s'").await;
    assert!(ask("SHOW statement_timeout").await.contains(r#"Str("0")"#));
    assert_eq!(ask("SELECT pg_backend_pid()").await, backend);
}

#[tokio::test]
async fn one_component_has_64_connections_to_an_address_and_no_more() {
    let (probe, database, address) = probe_with_database().await;
    let ask = format!("{address}\nSELECT pg_sleep(3)");
    let asks = futures_util::future::join_all((0..70).map(|_| probe.ask("/query", &ask)));
    let watch = async {
        let mut most = 0;
        for _ in 0..80 {
            most = most.max(running(&database, "pg_sleep(3)").await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        most
    };
    let (answers, most) = tokio::join!(asks, watch);
    assert!(answers.iter().all(|answer| answer.starts_with("Ok(")), "{answers:?}");
    assert_eq!(most, 64);
}

/// How many connections run a statement that ends like this.
async fn running(database: &Database, statement: &str) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%";
    database.count(&format!("{count}{statement}'")).await
}

#[tokio::test]
async fn a_shutdown_lets_requests_under_way_finish_and_takes_no_more() {
    let (probe, database, address) = probe_with_database().await;
    let slow = format!("{address}\nSELECT pg_sleep(0.5)");
    let under_way = probe.ask("/query", &slow);
    let stop = async {
        while running(&database, "pg_sleep(0.5)").await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        probe.begin_shutdown();
    };
    let (answer, ()) = tokio::join!(under_way, stop);
    assert!(answer.starts_with("Ok("), "{answer}");
    assert!(probe.has_shut_down().await);
}

#[tokio::test]
async fn a_private_database_keeps_its_rows_is_not_shared_and_leaves_no_server_behind() {
    let checkout = std::env::temp_dir().join(format!("cofrap-checkout-{}", std::process::id()));
    std::fs::create_dir_all(&checkout).unwrap();
    let home = PostgresHome::Checkout(checkout.clone());
    let run = async |server: &LocalPostgres, statement: &str| {
        let (client, connection) = server.config("kept").connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap();
    };

    let server = LocalPostgres::start(home.clone(), |_| {}).await.unwrap();
    server.ensure_database("kept").await.unwrap();
    run(&server, "CREATE TABLE t ()").await;
    let error = LocalPostgres::start(home.clone(), |_| {}).await.err().unwrap().to_string();
    assert!(error.contains("another"), "{error}");

    let (config, folder) = (server.config("kept"), server.folder().to_owned());
    drop(server);
    let again = LocalPostgres::start(home, |_| {}).await.unwrap();
    assert!(config.connect(NoTls).await.is_err(), "the dropped server still answers");
    run(&again, "SELECT FROM t").await;
    again.stop().await.unwrap();

    std::fs::remove_dir_all(folder).unwrap();
    std::fs::remove_dir_all(checkout).unwrap();
}
