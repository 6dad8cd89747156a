//! The head of a request.

use crate::client_address::client_address;
use crate::headers::RequestHeaders;
use crate::session_cookie;
use crate::trace::Trace;
use cofrap_accounts::{Bearer, Caller, UserAgent};
use cofrap_api::SessionUse;
use spin_sdk::http::IncomingRequest;
use zeroize::Zeroizing;

/// A request's head.
pub(crate) struct RequestHead {
    pub(crate) method: String,
    /// The path and the query.
    target: String,
    /// Whether the body is declared as JSON.
    pub(crate) declares_json: bool,
    /// The route of the manifest that the platform matched.
    pub(crate) route: String,
    /// The request's id and the time of its arrival.
    pub(crate) trace: Trace,
    peer: Option<String>,
    forwarded: Vec<String>,
    user_agent: Option<UserAgent>,
    bearers: Zeroizing<Vec<String>>,
    /// The session of a browser's cookie; none if a bearer token is present, or the route ignores sessions.
    cookie: Option<Zeroizing<String>>,
    /// Whether the session is in a cookie, or the client asks for one.
    pub(crate) uses_cookie: bool,
    /// Whether a page of this site sent the request, according to the browser. Checked only with a cookie.
    pub(crate) is_from_this_site: bool,
}

/// The header that asks a login for a cookie instead of a token, by the value `cookie`.
const WANTS_COOKIE: &str = "cofrap-session";

impl RequestHead {
    pub(crate) fn of(request: &IncomingRequest, headers: &RequestHeaders, session: SessionUse) -> Self {
        let mut bearers = Zeroizing::new(headers.values("authorization"));
        bearers.retain(|value| is_bearer(value));
        let is_borne = session == SessionUse::Accepted && bearers.is_empty();
        let cookie = if is_borne { session_cookie::read(&Zeroizing::new(headers.values("cookie"))) } else { None };
        let wants_cookie = session == SessionUse::Issued && headers.values(WANTS_COOKIE) == ["cookie"];
        let uses_cookie = cookie.is_some() || wants_cookie;
        Self {
            method: request.method().to_string(),
            target: request.path_with_query().unwrap_or_default(),
            declares_json: declares_json(&headers.values("content-type")),
            route: headers.last("spin-component-route").unwrap_or_default(),
            trace: Trace::of(headers),
            peer: headers.last("spin-client-addr"),
            forwarded: headers.values("x-forwarded-for"),
            user_agent: headers.first("user-agent").map(|value| value.as_str().into()),
            bearers,
            uses_cookie,
            cookie,
            is_from_this_site: uses_cookie
                && session_cookie::is_from_this_site(
                    &headers.values("sec-fetch-site"),
                    &headers.values("origin"),
                    request.authority().as_deref(),
                ),
        }
    }

    /// The query.
    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Whether the path begins with more than one slash.
    pub(crate) fn has_more_slashes(&self) -> bool {
        self.target.starts_with("//")
    }

    /// Whether it may change something through a cookie.
    pub(crate) fn writes_by_cookie(&self) -> bool {
        self.uses_cookie && self.method != "GET"
    }

    /// Whether a proxy names its client though no proxy is trusted. All clients behind it share one rate limit then.
    pub(crate) fn is_forwarded_in_vain(&self, trusted_hops: usize) -> bool {
        trusted_hops == 0 && !self.forwarded.is_empty()
    }

    /// The caller, behind so many trusted proxies.
    pub(crate) fn caller(&self, trusted_hops: usize) -> Caller {
        let address = client_address(self.peer.as_deref(), &self.forwarded, trusted_hops);
        let route = self.route.rsplit('/').next().filter(|name| !name.is_empty());
        Caller { address, user_agent: self.user_agent.clone(), route: route.map(str::to_owned) }
    }

    /// The bearer token, if there is exactly one; else the browser's session.
    pub(crate) fn bearer(&self) -> Bearer {
        match self.bearers.as_slice() {
            [] => Bearer::new(self.cookie.clone()),
            [one] => Bearer::new(bearer_token(one).map(|token| Zeroizing::new(token.to_owned()))),
            _ => Bearer::default(),
        }
    }
}

/// Whether the header is of the bearer scheme, with or without a token.
fn is_bearer(authorization: &str) -> bool {
    authorization.trim().split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
}

/// RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn declares_json(content_types: &[String]) -> bool {
    let is_json = |value: &String| {
        value.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
    };
    !content_types.is_empty() && content_types.iter().all(is_json)
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
    fn a_bearer_is_meant_by_its_scheme_alone() {
        assert!(is_bearer("Bearer abc") && is_bearer(" bearer") && is_bearer("BEARER "));
        assert!(!is_bearer("") && !is_bearer("Basic abc") && !is_bearer("Bearerabc"));
    }

    #[test]
    fn a_bearer_token_follows_its_scheme() {
        assert_eq!(bearer_token("Bearer abc"), Some("abc"));
        assert_eq!(bearer_token("bearer  abc "), Some("abc"));
        for other in ["", "Bearer", "Basic abc", "abc"] {
            assert_eq!(bearer_token(other), None, "{other}");
        }
    }
}
