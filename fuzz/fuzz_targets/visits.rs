//! What a browser says when it asks for a page: path, query, cookies, languages, encodings, tags, one line each.

#![no_main]

use cofrap_api::frontend::{Asset, CachePolicy, Content, Page, PageRequest, Site};
use libfuzzer_sys::fuzz_target;

const CONTENT: Content = Content { plain: b"plain", gzip: b"gzip", digest: "0123456789abcdef" };

static SITE: Site = Site {
    pages: &[Page { path: "/login", cache: CachePolicy::AndAskedFor, contents: [CONTENT, CONTENT] }],
    not_found: Page { path: "", cache: CachePolicy::Never, contents: [CONTENT, CONTENT] },
    assets: &[Asset { path: "/static/app.js", media_type: "text/javascript", content: CONTENT }],
};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (path, query, cookies) = (line(), line(), line());
    let (languages, encodings, known) = (line(), line(), line());
    let reply = SITE.answer(&PageRequest { path, query, cookies, languages, encodings, known, helpdesk: "" });
    assert!([200, 302, 304, 404].contains(&reply.status));
    for (_, value) in reply.headers {
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{value:?}");
    }
});
