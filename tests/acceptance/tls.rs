//! TLS to PostgreSQL: what commands and the local host trust, and that what they do not is given no password.

use cofrap_host::{Authorities, LocalPostgres, PostgresHome, VariableSource};
use cofrap_tests::Probe;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

const MANIFEST: &str = r#"
spin_manifest_version = 2
application = { name = "probes" }
[variables]
place = { required = true }
[[trigger.http]]
route = "/..."
component = "probe"
[component.probe]
source = "{probe}"
allowed_outbound_hosts = ["postgres://127.0.0.1:{{ place }}", "postgres://localhost:{{ place }}"]
"#;

/// An authority, and a server's certificate from it for 127.0.0.1.
struct Authority {
    file: PathBuf,
    certificate: String,
    key: String,
}

impl Authority {
    fn make(name: &str) -> Self {
        let mut of_authority = CertificateParams::default();
        of_authority.distinguished_name.push(DnType::CommonName, name);
        of_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority = of_authority.self_signed(&authority_key).unwrap();
        let file = std::env::temp_dir().join(format!("cofrap-{name}-{}.pem", std::process::id()));
        std::fs::write(&file, authority.pem()).unwrap();

        let key = KeyPair::generate().unwrap();
        let of_server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = of_server.signed_by(&key, &Issuer::new(of_authority, authority_key)).unwrap();
        Self { file, certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn trusted(&self) -> Authorities {
        Authorities::File(self.file.clone())
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Has a server speak TLS from its next connection on. It writes its files itself: the key must be its own.
async fn speak_tls(server: &LocalPostgres, authority: &Authority) {
    let client = Authorities::default().connect(&server.config("postgres")).await.unwrap();
    for (file, text) in [("tls.crt", &authority.certificate), ("tls.key", &authority.key)] {
        let write = format!(
            "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) TO PROGRAM 'umask 077; cat > {file}'",
            text.trim_end()
        );
        client.batch_execute(&write).await.unwrap();
    }
    for setting in ["ssl_cert_file = 'tls.crt'", "ssl_key_file = 'tls.key'", "ssl = on", "log_connections = on"] {
        client.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await.unwrap();
    }
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    for _ in 0..100 {
        if is_protected(&server.config("postgres"), &authority.trusted()).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the server does not speak TLS");
}

/// Whether the server says that a connection is protected; or why there is none.
async fn is_protected(config: &Config, authorities: &Authorities) -> Result<bool, String> {
    let mut config = config.clone();
    config.ssl_mode(SslMode::Require);
    let client = authorities.connect(&config).await.map_err(|error| format!("{error:#}"))?;
    let question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(client.query_one(question, &[]).await.unwrap().get(0))
}

#[tokio::test]
async fn a_certificate_needs_the_authority_s_signature_and_the_server_s_name() {
    let (ours, other) = (Authority::make("ours"), Authority::make("other"));
    let server = LocalPostgres::start(PostgresHome::Temporary, |_| {}).await.unwrap();
    speak_tls(&server, &ours).await;
    let config = server.config("postgres");
    assert_eq!(is_protected(&config, &ours.trusted()).await, Ok(true));

    let mut elsewhere = Config::new();
    elsewhere.host("localhost").port(config.get_ports()[0]).user("postgres").dbname("postgres");
    elsewhere.password(config.get_password().unwrap());
    let logins =
        || std::fs::read_to_string(server.folder().join("log")).unwrap().matches("connection authorized").count();
    let before = logins();
    for (config, authorities, said) in [
        (&config, other.trusted(), "UnknownIssuer"),
        (&config, Authorities::System, "UnknownIssuer"),
        (&elsewhere, ours.trusted(), "not valid for name"),
        (&config, Authorities::File("/nowhere/ca.pem".into()), "cannot read certificates from /nowhere/ca.pem"),
    ] {
        let error = is_protected(config, &authorities).await.unwrap_err();
        assert!(error.contains(said), "{authorities:?}: {error}");
    }
    assert_eq!(logins(), before, "a refused server was logged in to");

    // The local host, by the same code.
    let port = config.get_ports()[0];
    let password = String::from_utf8(config.get_password().unwrap().to_vec()).unwrap();
    let ask = async |authorities: Authorities, host: &str, mode: &str| {
        let variables = VariableSource::from([("place".to_owned(), port.to_string())]);
        let probe = Probe::start_trusting(authorities, MANIFEST, variables).await;
        let address = format!("postgres://postgres:{password}@{host}:{port}/postgres?sslmode={mode}");
        let question = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        probe.ask("/query", &format!("{address}\n{question}")).await
    };
    let answer = ask(ours.trusted(), "127.0.0.1", "require").await;
    assert!(answer.starts_with("Ok(") && answer.contains("true"), "{answer}");
    for (authorities, host) in [(other.trusted(), "127.0.0.1"), (ours.trusted(), "localhost")] {
        for mode in ["require", "prefer"] {
            let answer = ask(authorities.clone(), host, mode).await;
            assert!(answer.contains("ConnectionFailed") && answer.contains("ertificate"), "{host} {mode}: {answer}");
        }
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_without_tls_is_given_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::new();
    config.host("127.0.0.1").port(listener.local_addr().unwrap().port()).user("u").password("canary").dbname("d");
    config.ssl_mode(SslMode::Require);
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 8];
        stream.read_exact(&mut asked).await.unwrap();
        // SSLRequest, and that there is none. PostgreSQL documentation, "Message Formats".
        assert_eq!(asked, [0, 0, 0, 8, 4, 210, 22, 47]);
        stream.write_all(b"N").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest
    };
    let authorities = Authorities::default();
    let (connected, sent) = tokio::join!(authorities.connect(&config), server);
    assert!(format!("{:#}", connected.err().unwrap()).contains("TLS"));
    assert_eq!(sent, b"");
}
