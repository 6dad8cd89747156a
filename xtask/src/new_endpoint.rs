//! `new-endpoint`: makes what a new function needs, and says what is left to write.

use crate::checkout::checkout;
use anyhow::{Context, Result, bail};
use cofrap_database::say;
use std::fs;
use std::path::{Path, PathBuf};

/// What `new-endpoint` is given.
#[derive(clap::Args)]
pub(crate) struct NewEndpoint {
    /// The function's name: words of lower-case letters and digits with `-` between them. Its path is /function/NAME
    name: String,
    /// Another checkout than this one
    #[arg(long = "in", hide = true)]
    folder: Option<PathBuf>,
}

/// Makes the files and lines, unless one of them is there already.
pub(crate) fn make(arguments: &NewEndpoint) -> Result<()> {
    let names = Names::of(&arguments.name)?;
    let root = arguments.folder.as_deref().unwrap_or_else(|| checkout());
    // Nothing is written unless everything can be.
    for (path, _) in FILES {
        let path = root.join(names.fill(path));
        if path.exists() {
            bail!("{} is there already", path.display());
        }
    }
    for (file, before, _) in LINES {
        place_of(&root.join(file), before)?;
    }
    for (path, template) in FILES {
        let path = root.join(names.fill(path));
        let folder = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::write(&path, names.fill(template)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for (file, before, line) in LINES {
        insert(&root.join(file), before, &names.fill(line))?;
    }
    say(&names.fill(LEFT));
    Ok(())
}

/// The name in each form that a file needs.
struct Names {
    kebab: String,
}

impl Names {
    fn of(name: &str) -> Result<Self> {
        // As Spin's ids: each word starts with a letter.
        let is_word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let is_identifier = syn::parse_str::<syn::Ident>(&name.replace('-', "_")).is_ok();
        if !name.split('-').all(is_word) || !is_identifier {
            bail!(
                "{name}: a name has words of lower-case letters and digits with `-` between them, like `account-history`"
            );
        }
        Ok(Self { kebab: name.to_owned() })
    }

    /// A template with the name in place of its marks.
    fn fill(&self, template: &str) -> String {
        let snake = self.kebab.replace('-', "_");
        let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
        let camel: String = self.kebab.split('-').map(capitalised).collect();
        let marks =
            [("{kebab}", &self.kebab), ("{snake}", &snake), ("{SNAKE}", &snake.to_uppercase()), ("{Camel}", &camel)];
        marks.iter().fold(template.to_owned(), |text, (mark, name)| text.replace(mark, name))
    }
}

/// A file's text, and where its first line is that begins so.
fn place_of(file: &Path, before: &str) -> Result<(String, usize)> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let Some(at) = text.find(&format!("\n{before}")) else {
        bail!("{} has no line that begins with `{before}`", file.display());
    };
    Ok((text, at))
}

/// Inserts a line before the first one that begins so.
fn insert(file: &Path, before: &str, line: &str) -> Result<()> {
    let (text, at) = place_of(file, before)?;
    fs::write(file, [&text[..=at], line, "\n", &text[at + 1..]].concat())
        .with_context(|| format!("cannot write {}", file.display()))
}

/// The files, each with its path. The example asks for a session, and answers with the account's name.
const FILES: [(&str, &str); 5] = [
    (
        "components/{kebab}/Cargo.toml",
        r#"[package]
name = "cofrap-{kebab}"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lib]
crate-type = ["cdylib"]

[dependencies]
cofrap-accounts.workspace = true
cofrap-api.workspace = true
cofrap-edge.workspace = true
spin-sdk.workspace = true

[lints]
workspace = true
"#,
    ),
    (
        "components/{kebab}/src/lib.rs",
        r#"//! `GET /function/{kebab}`

#![expect(unsafe_code, clippy::same_length_and_capacity, reason = "the SDK's export shim")]

use cofrap_accounts::{snake};
use cofrap_api::routes::{SNAKE};
use cofrap_api::{snake}::{Request, Response};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    cofrap_edge::serve::<Request, _, _>(request, out, &{SNAKE}, |env, bearer| {
        let username = {snake}(env, &bearer)?;
        Ok(Response::from(username))
    })
    .await;
}
"#,
    ),
    (
        "shared/api/src/{snake}.rs",
        r#"//! `GET /function/{kebab}`

use crate::{Call, Endpoint, Problem};
use cofrap_accounts::Bearer;
use serde::Serialize;

/// A session.
#[derive(Debug)]
pub struct Request;

impl Endpoint for Request {
    type Command = Bearer;
    type Response = Response;

    fn read(call: Call<'_>) -> Result<Bearer, Problem> {
        Ok(call.bearer)
    }
}

/// The account's name.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "{Camel}", deny_unknown_fields))]
pub struct Response {
    /// The account's name.
    username: String,
}

impl From<String> for Response {
    fn from(username: String) -> Self {
        Self { username }
    }
}
"#,
    ),
    (
        "shared/accounts/src/operations/{snake}.rs",
        r"//! `{snake}`

use crate::operations::env::{Clock, Env};
use crate::operations::session::{SessionError, verify};
use crate::store::interface::SessionStore;
use crate::types::bearer::Bearer;
use cofrap_crypto::TokenKeys;
use rand_core::CryptoRng;

/// The name of a session's account.
///
/// # Errors
/// See [`SessionError`].
pub fn {snake}(
    env: &mut Env<impl SessionStore, impl Clock, impl CryptoRng, TokenKeys>,
    bearer: &Bearer,
) -> Result<String, SessionError> {
    let now = env.clock.now();
    let (_, account) = verify(env, bearer, now)?;
    Ok(account.username)
}
",
    ),
    (
        "tests/acceptance/{snake}.rs",
        r#"//! `GET /function/{kebab}`

use cofrap_tests::TestApp;
use http::Method;

#[tokio::test]
async fn a_session_s_bearer_reads_the_account_s_name() {
    let app = TestApp::start().await;
    let session = app.active_account("michel.ranu").await.session().await;
    let answer = app.request_as(&session, Method::GET, "/function/{kebab}").await.ok().0;
    assert_eq!(answer["username"], "michel.ranu");
    app.request_as("none", Method::GET, "/function/{kebab}").await.problem(401, "invalid_token");
}
"#,
    ),
];

/// Lines that go into files: before which line each goes. `cargo fmt` puts them in order.
const LINES: [(&str, &str, &str); 6] = [
    ("shared/accounts/src/operations.rs", "pub(crate) mod session;", "pub(crate) mod {snake};"),
    ("shared/accounts/src/lib.rs", "pub use operations::session::{", "pub use operations::{snake}::{snake};"),
    ("shared/api/src/lib.rs", "pub mod session;", "pub mod {snake};"),
    (
        "shared/api/src/routes.rs",
        "/// Every other path under both prefixes.",
        r#"/// `{kebab}`
pub const {SNAKE}: Route = Route {
    component: "{kebab}",
    paths: function!("{kebab}"),
    summary: "Shows the name of a session's account",
    operations: &[Operation::get(
        "The name of a session's account",
        &[401],
        schema_of::<crate::{snake}::Response>(),
    )],
    ..OF_SESSION
};
"#,
    ),
    ("shared/api/src/routes.rs", "];", "    {SNAKE},"),
    ("tests/acceptance/main.rs", "mod session;", "mod {snake};"),
];

const LEFT: &str = "made /function/{kebab}: it asks for a session, and answers with the account's name. Left to write:
    shared/api/src/routes.rs                  its entry in the table: methods, keys, errors, summary
    shared/api/src/{snake}.rs                 what it takes and answers
    shared/accounts/src/operations/{snake}.rs what it does
    components/{kebab}/src/lib.rs             one line more or less, if the operation's name is another
    tests/acceptance/{snake}.rs               what its callers can rely on
    migrations/sql/functions, store/, pg_store/  a function of the database and its method, if it needs a new one
    CHANGELOG.md                              a line
Then: cargo fmt --all && cargo xtask manifest && cargo xtask openapi && cargo xtask test -- -p cofrap-tests {snake}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_spin_or_rust_would_not_take_is_refused() {
        for name in ["", "a--b", "Account", "2fa", "a_b", "a-", "a/b", "match"] {
            assert!(Names::of(name).is_err(), "{name}");
        }
        assert_eq!(
            Names::of("account-history").unwrap().fill("{kebab} {snake} {SNAKE} {Camel}"),
            "account-history account_history ACCOUNT_HISTORY AccountHistory"
        );
    }
}
