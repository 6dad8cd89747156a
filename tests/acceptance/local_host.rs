//! The local host: what it must copy of Spin, as the components can see it.

use cofrap_host::{LocalPostgres, PostgresHome, VariableSource};
use cofrap_tests::{Database, Probe, TestServer};
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
    let given = database.variables_of_the_owner();
    let probe = Probe::start(ONE_ROUTE, variables(&[("a_secret", "value"), ("port", &given["postgres_port"])])).await;
    let address = format!(
        "host=127.0.0.1 port={} dbname={} user={} password={}",
        given["postgres_port"], given["postgres_db"], given["postgres_user"], given["postgres_password"]
    );
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
async fn the_platform_s_health_route_never_touches_a_component() {
    let probe = probe().await;
    assert_eq!(probe.send("/.well-known/spin/health", &[], "").await, (200, "OK".to_owned()));
    assert_eq!(probe.send("/.well-known/spin/other", &[], "").await.0, 404);
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
async fn a_manifest_that_asks_for_more_is_refused() {
    for (from, to, word) in [
        ("[component.probe]\n", "[component.probe]\nkey_value_stores = [\"default\"]\n", "key_value_stores"),
        ("[component.probe]\n", "[component.probe]\nfiles = [\"*\"]\n", "files"),
        ("postgres://{{ host }}:{{ port }}", "https://example.org", "https://example.org"),
        ("component = \"probe\"", "component = \"nothing\"", "nothing"),
        ("spin_manifest_version = 2", "spin_manifest_version = 1", "spin_manifest_version"),
        ("<{{ a_secret }}>", "{{ nothing }}", "nothing"),
    ] {
        let refusal = Probe::refusal(&ONE_ROUTE.replace(from, to), variables(&[("a_secret", "value")]));
        assert!(refusal.contains(word), "{refusal}");
    }
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

#[tokio::test]
async fn without_rows_there_is_no_column_list() {
    let (probe, _database, address) = probe_with_database().await;
    let answer = probe.ask("/query", &format!("{address}\nSELECT 1 WHERE false")).await;
    assert_eq!(answer, "Ok(RowSet { columns: [], rows: [] })");
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
