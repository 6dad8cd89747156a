//! The web interface: the page or asset of a path, in which language, and how a browser may cache it.

use std::borrow::Cow;

/// The methods of every page and asset.
pub const METHODS: &[&str] = &["GET", "HEAD"];

/// The pages' Content Security Policy: content of this site, and QR codes that a function drew. Nothing inline, no frames around it, no
/// forms that are sent without script, and no markup written by scripts.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// Where password managers look for the page that changes a password. W3C, "A Well-Known URL for Changing Passwords".
const CHANGE_PASSWORD: &str = "/.well-known/change-password";

/// Whom users ask for help; empty without the setting.
const HELPDESK: &str = "/helpdesk";

/// The cookie of the language that a visitor chose.
const LANGUAGE_COOKIE: &str = "__Host-lang";

/// A year, in seconds.
const YEAR: &str = "31536000";

/// Everything that the component serves, made when it is built.
#[derive(Debug)]
pub struct Site {
    /// The pages.
    pub pages: &'static [Page],
    /// The page for unknown paths.
    pub not_found: Page,
    /// Scripts, styles and images. Their paths have a digest of all of them.
    pub assets: &'static [Asset],
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Where it is.
    pub path: &'static str,
    /// How a browser may cache it.
    pub cache: CachePolicy,
    /// In each [`Language`].
    pub contents: [Content; 2],
}

/// How a browser may cache a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachePolicy {
    /// It may cache it, and asks whether it has changed.
    AndAskedFor,
    /// It may not: the page shows secrets, or what happened on an account.
    Never,
}

/// A style sheet, a script, an image.
#[derive(Debug)]
pub struct Asset {
    /// Where it is.
    pub path: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// What it holds.
    pub content: Content,
}

/// The bytes of a page or an asset.
#[derive(Debug)]
pub struct Content {
    /// As they are.
    pub plain: &'static [u8],
    /// Compressed.
    pub gzip: &'static [u8],
    /// A digest of them.
    pub digest: &'static str,
}

/// A language of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// French, which comes first.
    French,
    /// English.
    English,
}

/// A request for a page or an asset, as far as it matters.
#[derive(Debug, Default)]
pub struct PageRequest<'a> {
    /// The path, as it came.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: &'a str,
    /// `Cookie`
    pub cookies: &'a str,
    /// `Accept-Language`
    pub languages: &'a str,
    /// `Accept-Encoding`
    pub encodings: &'a str,
    /// `If-None-Match`
    pub known: &'a str,
    /// The setting `helpdesk`.
    pub helpdesk: &'a str,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, but for the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

impl Site {
    /// Answers a request with the asset or the page of its path, or the page for unknown paths.
    #[must_use]
    pub fn answer(&self, request: &PageRequest<'_>) -> Reply {
        if let Some(asset) = self.assets.iter().find(|asset| asset.path == request.path) {
            let headers = vec![
                ("content-type", asset.media_type.to_owned()),
                ("cache-control", format!("public, max-age={YEAR}, immutable")),
                ("vary", "accept-encoding".to_owned()),
            ];
            return reply(200, headers, &asset.content, request);
        }
        match request.path {
            CHANGE_PASSWORD => {
                let headers = vec![("location", "/generate-password".to_owned())];
                return bare(302, headers, Cow::Borrowed(&[]));
            }
            HELPDESK => {
                let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
                return bare(200, headers, Cow::Owned(request.helpdesk.as_bytes().to_vec()));
            }
            _ => {}
        }
        // One slash at the end does not matter, as on the functions' routes.
        let path =
            request.path.strip_suffix('/').filter(|path| !path.is_empty() && *path != "/").unwrap_or(request.path);
        match self.pages.iter().find(|page| page.path == path) {
            Some(page) => page.answer(200, request),
            None => self.not_found.answer(404, request),
        }
    }
}

impl Page {
    fn answer(&self, status: u16, request: &PageRequest<'_>) -> Reply {
        let chosen = Language::chosen(request.query);
        let language = chosen.unwrap_or_else(|| Language::of(request));
        let mut headers = vec![
            ("content-type", "text/html; charset=utf-8".to_owned()),
            ("content-language", language.as_str().to_owned()),
            (
                "cache-control",
                if self.cache == CachePolicy::Never { "no-store" } else { "private, no-cache" }.to_owned(),
            ),
            ("vary", "accept-encoding, accept-language, cookie".to_owned()),
        ];
        if chosen.is_some() {
            let language = language.as_str();
            let cookie =
                format!("{LANGUAGE_COOKIE}={language}; Path=/; Max-Age={YEAR}; HttpOnly; Secure; SameSite=Lax");
            headers.push(("set-cookie", cookie));
        }
        let [french, english] = &self.contents;
        reply(status, headers, if language == Language::French { french } else { english }, request)
    }
}

/// The answer for a path without a file.
fn bare(status: u16, mut headers: Vec<(&'static str, String)>, body: Cow<'static, [u8]>) -> Reply {
    headers.push(("cache-control", "no-cache".to_owned()));
    headers.extend(common_headers());
    Reply { status, headers, body }
}

/// The headers of every answer of the site.
fn common_headers() -> [(&'static str, String); 6] {
    [
        ("content-security-policy", POLICY.to_owned()),
        ("x-content-type-options", "nosniff".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("cross-origin-resource-policy", "same-origin".to_owned()),
        ("cross-origin-opener-policy", "same-origin".to_owned()),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()".to_owned()),
    ]
}

fn reply(status: u16, mut headers: Vec<(&'static str, String)>, content: &Content, request: &PageRequest<'_>) -> Reply {
    let is_compressed = takes_gzip(request.encodings);
    let tag = format!("\"{}{}\"", content.digest, if is_compressed { "-gzip" } else { "" });
    let is_same = |known: &str| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag;
    let is_known = status == 200 && request.known.split(',').any(|known| is_same(known.trim()));
    headers.push(("etag", tag));
    headers.extend(common_headers());
    if is_known {
        return Reply { status: 304, headers, body: Cow::Borrowed(&[]) };
    }
    if is_compressed {
        headers.push(("content-encoding", "gzip".to_owned()));
    }
    Reply { status, headers, body: Cow::Borrowed(if is_compressed { content.gzip } else { content.plain }) }
}

impl Language {
    const ALL: [Self; 2] = [Self::French, Self::English];

    const fn as_str(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    fn named(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| tag.eq_ignore_ascii_case(language.as_str()))
    }

    /// The language of `?lang=`.
    fn chosen(query: &str) -> Option<Self> {
        query.split('&').find_map(|pair| Self::named(pair.strip_prefix("lang=")?))
    }

    /// The language of the cookie, else the browser's first choice, else French.
    fn of(request: &PageRequest<'_>) -> Self {
        let kept = request.cookies.split(';').find_map(|pair| match pair.trim().split_once('=') {
            Some((LANGUAGE_COOKIE, value)) => Self::named(value),
            _ => None,
        });
        kept.unwrap_or_else(|| Self::liked(request.languages))
    }

    /// RFC 9110, section 12.5.4: of equal wishes, the first.
    fn liked(languages: &str) -> Self {
        let wishes = languages.split(',').filter_map(|wish| {
            let (range, weight) = weighted(wish);
            let language = Self::named(range.split('-').next().unwrap_or_default())?;
            (weight > 0).then_some((weight, language))
        });
        wishes.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(Self::French, |(_, liked)| liked)
    }
}

/// RFC 9110, section 12.5.3.
fn takes_gzip(encodings: &str) -> bool {
    encodings.split(',').map(weighted).any(|(coding, weight)| coding.eq_ignore_ascii_case("gzip") && weight > 0)
}

/// The values of a header with their weights in thousandths. RFC 9110, section 12.4.2; a malformed weight counts as 1.
fn weighted(wish: &str) -> (&str, u32) {
    let (wished, parameters) = wish.split_once(';').unwrap_or((wish, ""));
    let weight =
        parameters.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.strip_prefix('=')).map_or(1000, |weight| {
            let (whole, thousandths) = weight.split_once('.').unwrap_or((weight, ""));
            let thousandths = format!("{thousandths:0<3}");
            if whole == "0" {
                thousandths.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(1000)
            } else {
                1000
            }
        });
    (wished.trim(), weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn language(request: &PageRequest<'_>) -> &'static str {
        Language::of(request).as_str()
    }

    #[test]
    fn the_browser_s_favourite_of_both_languages_is_shown_and_french_without_one() {
        for (languages, expected) in [
            ("", "fr"),
            ("de", "fr"),
            ("*", "fr"),
            ("en", "en"),
            ("en-GB,en;q=0.9", "en"),
            ("EN-us", "en"),
            ("de,en;q=0.5", "en"),
            ("fr;q=0.5,en;q=0.8", "en"),
            ("en;q=0.8, fr", "fr"),
            ("en;q=0", "fr"),
            ("en;q=0.000,de", "fr"),
            ("fr,en", "fr"),
            ("en,fr", "en"),
            ("en;q=0.9,fr;q=0.91", "fr"),
        ] {
            assert_eq!(language(&PageRequest { languages, ..PageRequest::default() }), expected, "{languages}");
        }
    }

    #[test]
    fn a_choice_outweighs_the_browser() {
        let request = PageRequest { cookies: "x=y; __Host-lang=en", languages: "fr", ..PageRequest::default() };
        assert_eq!(language(&request), "en");
        assert_eq!(language(&PageRequest { cookies: "__Host-lang=xx", ..PageRequest::default() }), "fr");
        assert_eq!(Language::chosen("x=1&lang=en"), Some(Language::English));
        assert_eq!(Language::chosen("lang=xx"), None);
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        assert!(takes_gzip("gzip") && takes_gzip("deflate, gzip;q=0.5, br") && takes_gzip("GZIP"));
        assert!(
            !takes_gzip("")
                && !takes_gzip("br")
                && !takes_gzip("gzip;q=0")
                && !takes_gzip("gzip; Q=0.0")
                && !takes_gzip("xgzip")
        );
    }

    proptest! {
        #[test]
        fn no_header_panics(text: String) {
            let _ = Language::liked(&text);
            let _ = takes_gzip(&text);
            let _ = weighted(&format!("a;q=0.{text}"));
        }
    }
}
