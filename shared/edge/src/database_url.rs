//! The database's URL: parsed from the operator's form, written in Spin's form.
//!
//! Nothing is appended to the operator's text: for the platform's parser a second `options` replaces the first,
//! and `&name=value` without a `?` belongs to the database's name.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt::Write;
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

/// Server settings of every connection: an answer comes within seconds, the server speaks UTC, and a session that nobody uses
/// ends. The platform's pools never shrink, so without `idle_session_timeout` (PostgreSQL 14) one burst would keep a server's
/// connections for good. Milliseconds.
const SERVER_OPTIONS: &str = "-c statement_timeout=3000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=5000 \
     -c idle_session_timeout=2000 -c plan_cache_mode=force_generic_plan -c timezone=UTC";

/// A connection parameter that a URL may set.
struct Parameter {
    /// As libpq names it.
    name: &'static str,
    /// Its value where the URL sets none.
    default: Option<&'static str>,
    takes: Takes,
}

/// A type that a parameter may have.
enum Takes {
    OneOf(&'static [&'static str]),
    Number(RangeInclusive<u32>),
    Name,
}

impl Takes {
    fn takes(&self, value: &str) -> bool {
        match self {
            Self::OneOf(words) => words.contains(&value),
            Self::Number(range) => {
                value.bytes().all(|byte| byte.is_ascii_digit())
                    && value.parse().is_ok_and(|number| range.contains(&number))
            }
            // PostgreSQL keeps 63 bytes of it.
            Self::Name => (1..=63).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()),
        }
    }
}

/// A day, in seconds.
const TIMES: RangeInclusive<u32> = 0..=86_400;

const fn parameter(name: &'static str, takes: Takes) -> Parameter {
    Parameter { name, default: None, takes }
}

/// `options`, `host`, `hostaddr` (it passes by Spin's allow-list), `port`, `user`, `password` and `dbname` are not among them.
static PARAMETERS: [Parameter; 10] = [
    Parameter { name: "application_name", default: Some("cofrap"), takes: Takes::Name },
    parameter("channel_binding", Takes::OneOf(&["disable", "prefer", "require"])),
    // Seconds. Twice, when the first attempt fails, stays within the five in which a request is answered.
    Parameter { name: "connect_timeout", default: Some("2"), takes: Takes::Number(1..=2) },
    parameter("keepalives", Takes::Number(0..=1)),
    parameter("keepalives_idle", Takes::Number(TIMES)),
    parameter("keepalives_interval", Takes::Number(TIMES)),
    parameter("keepalives_retries", Takes::Number(0..=100)),
    // The platform's. With `require` it verifies the certificate and the name.
    parameter("sslmode", Takes::OneOf(&["disable", "prefer", "require"])),
    parameter("target_session_attrs", Takes::OneOf(&["any", "read-write", "read-only"])),
    parameter("tcp_user_timeout", Takes::Number(TIMES)),
];

/// The port of a URL that names none.
const DEFAULT_PORT: u16 = 5432;

/// Why a URL cannot be used. The text has no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It is no URL of PostgreSQL.
    #[error("write postgres://user:password@host:port/database")]
    Scheme,
    /// It has no user.
    #[error(
        "it names no user (write postgres://user:password@host:port/database), or a / or ? before the host is not \
         percent-encoded"
    )]
    User,
    /// It has an `@` too many, a `%` that encodes nothing, or what it encodes is no text.
    #[error(
        "percent-encode the user, the password and the database: %40 for @, %2F for /, %25 for %, %3F for ?, %23 for #"
    )]
    Encoding,
    /// It has no host, more than one, or one that Spin would not permit.
    #[error(
        "it needs one host, by name or IPv4 address (Spin permits no IPv6 address, no socket file and no second host)"
    )]
    Host,
    /// The port is none.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// The path has more than the database's name.
    #[error("after the host comes /database, then ?name=value and &name=value")]
    Path,
    /// A parameter is not one that a URL may set, or stands twice.
    #[error(
        "its parameters may be application_name, channel_binding, connect_timeout, keepalives, keepalives_idle, \
         keepalives_interval, keepalives_retries, sslmode, target_session_attrs and tcp_user_timeout, each once"
    )]
    Parameter,
    /// A parameter has a value that it does not take.
    #[error(
        "{0} has a value that it does not take (sslmode: disable, prefer or require, with which Spin verifies the certificate and \
         the name; connect_timeout: 1 or 2 seconds)"
    )]
    Value(&'static str),
    /// It has white space or a line break.
    #[error("it has white space or a line break in it, or around it")]
    WhiteSpace,
}

/// A database's address, parsed.
#[derive(Clone, Debug)]
pub struct DatabaseUrl {
    host: String,
    port: u16,
    user: String,
    password: Zeroizing<String>,
    database: String,
    parameters: Vec<(&'static str, String)>,
}

impl DatabaseUrl {
    /// Reads `postgres://user:password@host:port/database?parameter=value`. Without a port it is 5432, without a database the
    /// one of the user's name.
    ///
    /// # Errors
    /// The [`DatabaseUrlError`] of the first part that cannot be used.
    pub fn parse(text: &str) -> Result<Self, DatabaseUrlError> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(DatabaseUrlError::WhiteSpace);
        }
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.filter(|rest| !rest.contains('#')).ok_or(DatabaseUrlError::Scheme)?;
        let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
        let (credentials, place) = authority.rsplit_once('@').ok_or(DatabaseUrlError::User)?;
        if credentials.contains('@') {
            return Err(DatabaseUrlError::Encoding);
        }
        if path.contains(['/', '&', '=']) {
            return Err(DatabaseUrlError::Path);
        }
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let user = decode(user)?.to_string();
        if user.is_empty() {
            return Err(DatabaseUrlError::User);
        }
        let (host, port) = parse_place(place)?;
        let database = decode(path)?.to_string();
        let database = if database.is_empty() { user.clone() } else { database };
        Ok(Self { host, port, user, password: decode(password)?, database, parameters: parse_parameters(query)? })
    }

    /// `host:port`, which is what `database_host` must be.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Who logs in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// With what password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The address as the platform's Postgres interface takes it, with what every connection is given. It is a URL again, of which
    /// Spin's traces show host, port and database.
    #[must_use]
    pub fn connection_string(&self) -> Zeroizing<String> {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let Self { host, port, user, password, database, parameters } = self;
        // Room for all of it, so that no copy of the password is left behind.
        let mut url = Zeroizing::new(String::with_capacity(512 + 3 * (user.len() + password.len() + database.len())));
        let (user, password, database) = (encoded(user), encoded(password), encoded(database));
        let _ =
            write!(url, "postgres://{user}:{password}@{host}:{port}/{database}?options={}", encoded(SERVER_OPTIONS));
        for Parameter { name, default, .. } in &PARAMETERS {
            let given = parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
            if let Some(value) = given.or(*default) {
                let _ = write!(url, "&{name}={}", encoded(value));
            }
        }
        url
    }

    /// Its parameters as they stand in a URL, with the question mark; empty where it has none.
    #[must_use]
    pub fn query(&self) -> String {
        let pairs = self
            .parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        let pairs: Vec<_> = pairs.collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// Adds the parameters of another address, unless it has them.
    pub fn add_parameters_of(&mut self, other: &Self) {
        for (name, value) in &other.parameters {
            if !self.parameters.iter().any(|(given, _)| given == name) {
                self.parameters.push((name, value.clone()));
            }
        }
    }

    /// Whether both lead to one database, whoever logs in.
    #[must_use]
    pub fn is_same_database_as(&self, other: &Self) -> bool {
        (&self.host, self.port, &self.database) == (&other.host, other.port, &other.database)
    }
}

/// Whether a text is `host:port`, as Spin's allow-list must have it: a wildcard or a network would permit more than one place,
/// a bare host means port 5432, an IPv6 address is never permitted.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    text.contains(':') && parse_place(text).is_ok()
}

fn parse_place(place: &str) -> Result<(String, u16), DatabaseUrlError> {
    let (host, port) = match place.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (place, DEFAULT_PORT),
    };
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || !host.chars().all(is_of_a_name) {
        return Err(DatabaseUrlError::Host);
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn parse_port(port: &str) -> Result<u16, DatabaseUrlError> {
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = if is_number { port.parse().ok() } else { None };
    port.filter(|port| *port != 0).ok_or(if is_number { DatabaseUrlError::Port } else { DatabaseUrlError::Host })
}

fn parse_parameters(query: &str) -> Result<Vec<(&'static str, String)>, DatabaseUrlError> {
    let mut parameters: Vec<(&'static str, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(DatabaseUrlError::Parameter)?;
        let known = PARAMETERS.iter().find(|known| known.name == name).ok_or(DatabaseUrlError::Parameter)?;
        if parameters.iter().any(|(given, _)| *given == known.name) {
            return Err(DatabaseUrlError::Parameter);
        }
        let value = decode(value)?.to_string();
        if !known.takes.takes(&value) {
            return Err(DatabaseUrlError::Value(known.name));
        }
        parameters.push((known.name, value));
    }
    Ok(parameters)
}

/// A `+` is a plus sign. No text holds a NUL: PostgreSQL's messages end texts with it.
fn decode(text: &str) -> Result<Zeroizing<String>, DatabaseUrlError> {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_escape) {
        return Err(DatabaseUrlError::Encoding);
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| DatabaseUrlError::Encoding)?;
    if decoded.contains('\0') { Err(DatabaseUrlError::Encoding) } else { Ok(Zeroizing::new(decoded.into_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string_of(url: &str) -> String {
        DatabaseUrl::parse(url).unwrap().connection_string().to_string()
    }

    #[test]
    fn what_every_connection_is_given_is_added_once() {
        let text = string_of("postgres://functions:secret@db.example:6432/accounts");
        assert!(text.starts_with("postgres://functions:secret@db.example:6432/accounts?options="), "{text}");
        for default in ["&application_name=cofrap", "&connect_timeout=2", "idle%5Fsession%5Ftimeout%3D2000"] {
            assert!(text.contains(default), "{text}");
        }
        let text = string_of("postgresql://u@h?sslmode=require&connect_timeout=1");
        assert!(text.starts_with("postgres://u:@h:5432/u?options="), "{text}");
        assert!(text.contains("&sslmode=require") && text.contains("&connect_timeout=1"), "{text}");
        assert_eq!(text.matches("connect_timeout").count(), 1);
    }

    #[test]
    fn what_is_written_says_the_same_when_it_is_read_again() {
        let odd = r"postgres://u%40:%40%2F%3F%23%25%27%5C+%20x=1&y@h/d%2Fe";
        let (read, written) = (DatabaseUrl::parse(odd).unwrap(), string_of(odd));
        assert_eq!(read.password(), r"@/?#%'\+ x=1&y");
        let (address, _) = written.split_once('?').unwrap();
        let again = DatabaseUrl::parse(address).unwrap();
        assert_eq!((again.user(), again.password(), &*again.database), ("u@", read.password(), "d/e"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_no_part_of_it_said() {
        use DatabaseUrlError::{Encoding, Host, Parameter, Path, Port, Scheme, User, Value, WhiteSpace};
        for (url, expected) in [
            ("", Scheme),
            ("host=canary", Scheme),
            ("host=canary user=u", WhiteSpace),
            ("postgres://u:canary@h/d\n", WhiteSpace),
            (" postgres://u:canary@h/d", WhiteSpace),
            ("mysql://u:canary@h/d", Scheme),
            ("postgres://u:p@h/d#canary", Scheme),
            ("postgres://canary/d", User),
            ("postgres://:canary@h/d", User),
            ("postgres://u:canary@x@h/d", Encoding),
            ("postgres://u:canary%zz@h/d", Encoding),
            ("postgres://u:canary%00@h/d", Encoding),
            ("postgres://u:canary%ff@h/d", Encoding),
            ("postgres://u:canary%4@h/d", Encoding),
            ("postgres://u:p@/d", Host),
            ("postgres://u:p@canary,other/d", Host),
            ("postgres://u:p@canary:5432,other:5432/d", Host),
            ("postgres://u:p@[::1]:5432/d", Host),
            ("postgres://u:p@%2Fvar%2Frun/d", Host),
            ("postgres://u:p@*:5432/d", Host),
            ("postgres://u:p@h:0/d", Port),
            ("postgres://u:p@h:70000/d", Port),
            ("postgres://u:can/ary@h/d", User),
            ("postgres://u:p@h/d/canary", Path),
            ("postgres://u:p@h/d&sslmode=require", Path),
            ("postgres://u:p@h/d?options=canary", Parameter),
            ("postgres://u:p@h/d?hostaddr=203.0.113.7", Parameter),
            ("postgres://u:p@h/d?host=canary", Parameter),
            ("postgres://u:p@h/d?password=canary", Parameter),
            ("postgres://u:p@h/d?canary", Parameter),
            ("postgres://u:p@h/d?connect_timeout=1&connect_timeout=2", Parameter),
            ("postgres://u:p@h/d?sslmode=verify-full", Value("sslmode")),
            ("postgres://u:p@h/d?connect_timeout=canary", Value("connect_timeout")),
            ("postgres://u:p@h/d?connect_timeout=0", Value("connect_timeout")),
            ("postgres://u:p@h/d?connect_timeout=3", Value("connect_timeout")),
            ("postgres://u:p@h/d?keepalives=canary", Value("keepalives")),
            ("postgres://u:p@h/d?target_session_attrs=canary", Value("target_session_attrs")),
            ("postgres://u:p@h/d?channel_binding=", Value("channel_binding")),
            ("postgres://u:p@h/d?application_name=%0A", Value("application_name")),
        ] {
            let error = DatabaseUrl::parse(url).err();
            assert_eq!(error, Some(expected), "{url}");
            assert!(!expected.to_string().contains("canary"), "{url}");
        }
    }

    #[test]
    fn the_allow_list_takes_one_host_with_its_port() {
        for text in ["127.0.0.1:5432", "db:1", "pg-rw.cofrap.svc:65535"] {
            assert!(is_host_and_port(text), "{text}");
        }
        for text in ["", "db", "db:", "db:0", "*:5432", "db:*", "db:5432..5440", "[::1]:5432", "::1", "10.0.0.0/8:5432"]
        {
            assert!(!is_host_and_port(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_is_written_is_one_value_each(text in "(postgres://)?[ -~é]{0,60}") {
            if let Ok(url) = DatabaseUrl::parse(&text) {
                prop_assert!(is_host_and_port(&url.host_and_port()));
            }
        }
    }
}
