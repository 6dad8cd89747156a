//! The session cookie of a browser.

use zeroize::Zeroizing;

/// Its attributes: only over TLS (or on loopback), for this host and all of its paths, invisible to scripts.
/// RFC 6265bis, section 4.1.3.2.
const NAME: &str = "__Host-session";

/// The header value that deletes the cookie.
pub(crate) const CLEARED: &str = "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict";

/// The header value that sets the cookie for the lifetime of its session.
pub(crate) fn set(token: &str, seconds: u64) -> String {
    format!("{NAME}={token}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict")
}

/// The session of a request's `Cookie` headers, if there is exactly one.
pub(crate) fn read(headers: &[String]) -> Option<Zeroizing<String>> {
    let mut found = None;
    for pair in headers.iter().flat_map(|header| header.split(';')) {
        let Some(value) = pair.trim().strip_prefix(NAME).and_then(|pair| pair.strip_prefix('=')) else { continue };
        if found.replace(value).is_some() {
            return None;
        }
    }
    found.filter(|value| !value.is_empty()).map(|value| Zeroizing::new(value.to_owned()))
}

/// Whether a page of this site sent a request. Browsers say so (Fetch Metadata, section 2.3); for older ones
/// the page's origin must be the host that was asked.
pub(crate) fn is_from_this_site(fetch_site: &[String], origin: &[String], host: Option<&str>) -> bool {
    match (fetch_site, origin, host) {
        ([site], _, _) => site == "same-origin",
        ([], [origin], Some(host)) => matches!(origin.strip_suffix(host), Some("https://" | "http://")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(headers: &[&str], expected: Option<&str>) {
        let headers: Vec<_> = headers.iter().map(|header| (*header).to_owned()).collect();
        assert_eq!(read(&headers).as_ref().map(|value| value.as_str()), expected, "{headers:?}");
    }

    #[test]
    fn one_session_among_other_cookies_is_read() {
        check(&["__Host-session=a.b.c"], Some("a.b.c"));
        check(&["__Host-lang=en; __Host-session=a.b.c ;x"], Some("a.b.c"));
        check(&["x=y", "__Host-session=a.b.c"], Some("a.b.c"));
    }

    #[test]
    fn none_several_or_an_empty_one_are_no_session() {
        for headers in [
            &[][..],
            &[""],
            &["session=a"],
            &["__host-session=a"],
            &["__Host-session"],
            &["__Host-session="],
            &["__Host-session=a; __Host-session=b"],
            &["__Host-session=a", "__Host-session=a"],
        ] {
            check(headers, None);
        }
    }

    #[test]
    fn the_browser_s_word_on_the_site_counts_and_without_it_the_origin() {
        let check = |sites: &[&str], origins: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            is_from_this_site(&owned(sites), &owned(origins), Some("auth.example:8080"))
        };
        let own = "https://auth.example:8080";
        assert!(check(&["same-origin"], &[]) && check(&["same-origin"], &["null"]));
        assert!(check(&[], &[own]) && check(&[], &["http://auth.example:8080"]));
        for site in ["same-site", "cross-site", "none", "", "Same-Origin", "same-origin, cross-site"] {
            assert!(!check(&[site], &[own]), "{site}");
        }
        for origin in [
            "null",
            "",
            "auth.example:8080",
            "https://auth.example",
            "https://evil.example",
            "https://x@auth.example:8080",
            "https://evil-auth.example:8080",
        ] {
            assert!(!check(&[], &[origin]), "{origin}");
        }
        assert!(!check(&[], &[]) && !check(&[], &[own, own]) && !check(&["same-origin", "same-origin"], &[own]));
        assert!(!is_from_this_site(&[], &["https://".to_owned()], None));
    }

    proptest! {
        #[test]
        fn no_header_panics(cookies: Vec<String>, site: Vec<String>, origin: Vec<String>, host: String) {
            let _ = read(&cookies);
            let _ = is_from_this_site(&site, &origin, Some(&host));
        }
    }
}
