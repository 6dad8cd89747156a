//! TLS to PostgreSQL, for the commands that are given a URL and for the local host. As on Spin, a certificate counts only with an
//! authority's signature and the server's name on it, whatever `sslmode` says; what is refused is refused before a password is sent.

use anyhow::{Context, Result, bail};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Whose signature a server's certificate needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorities {
    /// One of those that the system trusts, or of the file that `SSL_CERT_FILE` names.
    #[default]
    System,
    /// One of those in a file, in PEM.
    File(PathBuf),
}

/// The system's are many, and every component has a pool.
static SYSTEM: OnceLock<MakeRustlsConnect> = OnceLock::new();

impl Authorities {
    /// What speaks TLS for a client of PostgreSQL, where its `sslmode` asks for it.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate.
    pub fn connector(&self) -> Result<MakeRustlsConnect> {
        match self {
            // Without a single one no server is trusted, which the handshake says.
            Self::System => Ok(SYSTEM.get_or_init(|| trusting(rustls_native_certs::load_native_certs().certs)).clone()),
            Self::File(path) => {
                let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
                let certificates =
                    read().with_context(|| format!("cannot read certificates from {}", path.display()))?;
                if certificates.is_empty() {
                    bail!("{} holds no certificate: write it in PEM", path.display());
                }
                Ok(trusting(certificates))
            }
        }
    }

    /// A connection, which lives as long as the client.
    ///
    /// # Errors
    /// As [`Self::connector`], and when the server cannot be reached, is not who it should be or refuses.
    pub async fn connect(&self, config: &Config) -> Result<Client> {
        let (client, connection) = config.connect(self.connector()?).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn trusting(certificates: Vec<CertificateDer<'static>>) -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider offers TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

/// The file of the authorities that the system trusts, for programs that want a file.
#[expect(clippy::disallowed_methods, reason = "rustls reads the same variable")]
pub(crate) fn system_authorities() -> PathBuf {
    std::env::var_os("SSL_CERT_FILE").map_or_else(|| "/etc/ssl/certs/ca-certificates.crt".into(), PathBuf::from)
}
