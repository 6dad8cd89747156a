//! The client's address: from the platform, or from the proxies that the operator trusts.

use std::net::IpAddr;

/// The address that a request came from.
///
/// `peer` is the connection's other end as the platform gives it, `address:port`. With `trusted_hops` of the operator's proxies before the
/// functions, the address that the outermost of them saw stands at that place of `X-Forwarded-For`, counted from the right:
/// what clients write comes before. `forwarded` holds that header's values, in order. Where the list is too short or the place
/// holds no address, the peer's counts.
#[must_use]
pub fn client_address(peer: Option<&str>, forwarded: &[String], trusted_hops: usize) -> Option<IpAddr> {
    let peer = || peer.and_then(parse);
    let Some(from_right) = trusted_hops.checked_sub(1) else { return peer() };
    forwarded
        .iter()
        .rev()
        .flat_map(|value| value.rsplit(','))
        .nth(from_right)
        .and_then(|entry| parse(entry.trim()))
        .or_else(peer)
}

/// An address with or without a port; an IPv4 address that came mapped into IPv6 as the IPv4 address that it is.
fn parse(text: &str) -> Option<IpAddr> {
    // RFC 7239, section 6, has an IPv6 address with a port in quotes, and some proxies write every address so.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let without_port = || match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(address, _)| address),
        None => text.split_once(':').map(|(address, _)| address),
    };
    let address: Option<IpAddr> = text.parse().ok();
    address.or_else(|| without_port()?.parse().ok()).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEER: &str = "192.0.2.1:4242";

    fn check(forwarded: &[&str], hops: usize, expected: &str) {
        let forwarded: Vec<_> = forwarded.iter().map(|value| (*value).to_owned()).collect();
        assert_eq!(
            client_address(Some(PEER), &forwarded, hops),
            Some(expected.parse().unwrap()),
            "{forwarded:?} {hops}"
        );
    }

    #[test]
    fn without_a_trusted_proxy_only_the_platform_s_word_counts() {
        check(&[], 0, "192.0.2.1");
        check(&["203.0.113.7"], 0, "192.0.2.1");
    }

    #[test]
    fn the_place_is_counted_from_the_right_of_all_values() {
        check(&["203.0.113.7"], 1, "203.0.113.7");
        check(&["198.51.100.66, 203.0.113.7"], 1, "203.0.113.7");
        check(&["198.51.100.66, 203.0.113.7,10.0.0.1"], 2, "203.0.113.7");
        check(&["198.51.100.66", "203.0.113.7", "10.0.0.1"], 2, "203.0.113.7");
    }

    #[test]
    fn a_list_that_is_too_short_or_no_list_leaves_the_peer() {
        check(&[], 1, "192.0.2.1");
        check(&["203.0.113.7"], 2, "192.0.2.1");
        check(&["unknown"], 1, "192.0.2.1");
        check(&["203.0.113.7, "], 1, "192.0.2.1");
        assert_eq!(client_address(None, &[], 0), None);
        assert_eq!(client_address(Some("somewhere"), &[], 0), None);
    }

    #[test]
    fn ports_brackets_and_mappings_are_not_the_address() {
        check(&["203.0.113.7:1"], 1, "203.0.113.7");
        check(&["[2001:db8::1]:1"], 1, "2001:db8::1");
        check(&["[2001:db8::1]"], 1, "2001:db8::1");
        check(&["2001:db8::1"], 1, "2001:db8::1");
        check(&["::ffff:203.0.113.7"], 1, "203.0.113.7");
        check(&["\"203.0.113.7\""], 1, "203.0.113.7");
        check(&["198.51.100.66, \"[2001:db8::1]:4711\""], 1, "2001:db8::1");
        check(&["\"203.0.113.7"], 1, "192.0.2.1");
    }

    proptest! {
        #[test]
        fn reading_never_panics(peer: String, forwarded: Vec<String>, hops: usize) {
            let _ = client_address(Some(&peer), &forwarded, hops);
        }
    }
}
