//! The URL of a named database: as `psql` takes it, with what it says of TLS.

use crate::tls::Authorities;
use anyhow::{Result, anyhow, bail};
use cofrap_edge::DatabaseUrl;
use percent_encoding::percent_decode_str;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use tokio_postgres::{Client, Config};

/// Where a named database is, and how one is sure that it is that one.
#[derive(Clone)]
pub struct Address {
    /// For the driver.
    pub config: Config,
    /// Whose signature the server's certificate needs.
    pub authorities: Authorities,
    /// The URL in the words that the platform takes: it verifies certificate and name with `sslmode=require`, refuses `verify-full`, and
    /// has its authorities from elsewhere.
    pub platform: DatabaseUrl,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=ca.pem`. Without `sslmode` a connection that
    /// leaves the machine is refused: it would go in clear to whoever answers without TLS.
    ///
    /// # Errors
    /// When it is no URL of a database, or says something of TLS that is not done.
    pub fn parse(url: &str) -> Result<Self> {
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut mode, mut file) = (Vec::new(), None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) if mode.is_none() => mode = Some(percent_decode_str(value).decode_utf8()?),
                Some(("sslrootcert", value)) if file.is_none() => file = Some(value),
                _ => kept.push(pair.to_owned()),
            }
        }
        // The functions read a URL by the same rules.
        let without =
            DatabaseUrl::parse(&with_query(place, &kept)).map_err(|error| anyhow!("the database URL: {error}"))?;
        let mode = match mode.as_deref() {
            Some("require" | "verify-full") => "require",
            Some("disable") => "disable",
            None | Some("prefer" | "allow") if is_loopback(&without) => "disable",
            None => bail!(
                "the database URL says nothing of TLS, and {} is another machine: add ?sslmode=verify-full (and &sslrootcert=ca.pem where \
                 the authority is your own), or ?sslmode=disable where nobody else is on the way",
                without.host_and_port()
            ),
            Some(_) => bail!(
                "the database URL: sslmode is verify-full or require (both verify the certificate and the name), or disable; prefer and \
                 allow would send the password in clear to whoever answers without TLS, verify-ca to whoever has any certificate"
            ),
        };
        if file.is_some() && mode == "disable" {
            bail!("the database URL: sslrootcert without TLS: add sslmode=verify-full");
        }
        kept.push(format!("sslmode={mode}"));
        let url = with_query(place, &kept);
        Ok(Self {
            config: url
                .parse()
                .map_err(|_| anyhow!("the database URL has a parameter with a value that it does not take"))?,
            authorities: match file {
                Some(file) => Authorities::File(PathBuf::from(&*percent_decode_str(file).decode_utf8()?)),
                None => Authorities::System,
            },
            platform: DatabaseUrl::parse(&url)?,
        })
    }

    /// A connection, which lives as long as the client.
    ///
    /// # Errors
    /// As [`Authorities::connect`].
    pub async fn connect(&self) -> Result<Client> {
        self.authorities.connect(&self.config).await
    }
}

fn with_query(place: &str, pairs: &[String]) -> String {
    if pairs.is_empty() { place.to_owned() } else { format!("{place}?{}", pairs.join("&")) }
}

fn is_loopback(url: &DatabaseUrl) -> bool {
    let place = url.host_and_port();
    let host = place.rsplit_once(':').map_or(&*place, |(host, _)| host);
    host == "localhost" || host.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::SslMode;

    fn read(query: &str) -> Result<Address> {
        Address::parse(&format!("postgres://owner:canary@db.example:5433/accounts{query}"))
    }

    #[test]
    fn what_verifies_is_one_word_for_the_platform() {
        for query in ["?sslmode=require", "?sslmode=verify-full", "?connect_timeout=1&sslmode=verify-full"] {
            let address = read(query).unwrap();
            assert_eq!(address.config.get_ssl_mode(), SslMode::Require, "{query}");
            assert!(address.platform.query().contains("sslmode=require"), "{query}");
            assert_eq!(address.authorities, Authorities::System);
        }
        let address = read("?sslmode=verify-full&sslrootcert=%2Fetc%2Four%20ca.pem").unwrap();
        assert_eq!(address.authorities, Authorities::File("/etc/our ca.pem".into()));
        assert!(!address.platform.query().contains("sslrootcert"));
    }

    #[test]
    fn nothing_leaves_the_machine_in_clear_unless_it_was_said() {
        assert_eq!(read("?sslmode=disable").unwrap().config.get_ssl_mode(), SslMode::Disable);
        for (query, said) in [
            ("", "db.example:5433 is another machine"),
            ("?sslmode=prefer", "prefer and allow would send"),
            ("?sslmode=allow", "prefer and allow would send"),
            ("?sslmode=verify-ca", "verify-ca to whoever"),
            ("?sslmode=", "sslmode is verify-full"),
            ("?sslmode=disable&sslrootcert=ca.pem", "sslrootcert without TLS"),
            ("?sslmode=require&sslmode=disable", "each once"),
            ("?sslrootcert=a&sslmode=require&sslrootcert=b", "each once"),
        ] {
            let error = read(query).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(said) && !error.contains("canary"), "{query}: {error}");
        }
    }

    #[test]
    fn on_the_machine_itself_a_url_may_say_nothing_of_tls() {
        for host in ["127.0.0.1", "localhost", "127.1.2.3"] {
            for query in ["", "?sslmode=prefer"] {
                let address = Address::parse(&format!("postgres://owner@{host}/accounts{query}")).unwrap();
                assert_eq!(address.config.get_ssl_mode(), SslMode::Disable, "{host}{query}");
            }
        }
        assert!(Address::parse("postgres://owner@127.0.0.1.example/accounts").is_err());
    }
}
