//! What is known of a request before its body is read.

use cofrap_accounts::Caller;
use spin_sdk::http::{Headers, IncomingRequest, Method};
use std::net::{IpAddr, SocketAddr};

/// A request's head.
pub(crate) struct Arrival {
    pub(crate) method: Method,
    /// Whether the body is declared as JSON.
    pub(crate) declares_json: bool,
    /// The route of the manifest that the platform matched.
    pub(crate) route: String,
    pub(crate) caller: Caller,
}

impl Arrival {
    pub(crate) fn of(request: &IncomingRequest) -> Self {
        let headers = request.headers();
        Self {
            method: request.method(),
            declares_json: declares_json(&values(&headers, "content-type")),
            route: last(&headers, "spin-component-route").unwrap_or_default(),
            caller: Caller {
                address: last(&headers, "spin-client-addr").and_then(|value| client_address(&value)),
                user_agent: values(&headers, "user-agent").first().map(|value| value.as_str().into()),
            },
        }
    }
}

fn values(headers: &Headers, name: &str) -> Vec<String> {
    headers.get(name).into_iter().map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

/// Spin adds its own headers after the client's: of several, only the last is Spin's.
fn last(headers: &Headers, name: &str) -> Option<String> {
    values(headers, name).pop()
}

fn declares_json(content_types: &[String]) -> bool {
    let is_json = |value: &String| {
        value.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
    };
    !content_types.is_empty() && content_types.iter().all(is_json)
}

/// The address without its port; an IPv4 address that came mapped into IPv6 as the IPv4 address that it is.
fn client_address(address_and_port: &str) -> Option<IpAddr> {
    address_and_port.parse().ok().map(|address: SocketAddr| address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_declared_with_any_case_and_parameters() {
        let check =
            |values: &[&str]| declares_json(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        assert!(check(&["application/json"]) && check(&["Application/JSON ; charset=utf-8"]));
        assert!(
            !check(&[]) && !check(&[""]) && !check(&["application/jsonp"]) && !check(&["text/plain; application/json"])
        );
        assert!(!check(&["application/json", "text/plain"]));
    }

    #[test]
    fn the_address_loses_its_port_and_its_mapping() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(client_address(text), expected.map(|ip| ip.parse().unwrap()), "{text}");
        };
        check("203.0.113.7:4242", Some("203.0.113.7"));
        check("[2001:db8::1]:4242", Some("2001:db8::1"));
        check("[::ffff:203.0.113.7]:4242", Some("203.0.113.7"));
        check("203.0.113.7", None);
        check("somewhere", None);
    }
}
