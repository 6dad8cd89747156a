//! `manifest`: writes `spin.toml` from the table of routes, so that a component is granted what its code reads.

use crate::checkout::checkout;
use crate::components::names;
use crate::deployment;
use anyhow::{Context, Result};
use cofrap_api::Route;
use cofrap_api::routes::ROUTES;
use cofrap_api::variables::{
    ADMIN_TOKEN, DATABASE_HOST, DATABASE_URL, ENCRYPTION_KEY, JWT_SECRET, METRICS_TOKEN, SETTINGS,
};
use cofrap_database::say;
use std::fmt::Write;
use std::fs;

const FILE: &str = "spin.toml";

const HEAD: &str = r#"# Written by `cargo xtask manifest` from shared/api/src/routes.rs: change that, not this.
# The wiring: route -> component -> allowed host -> variables. Each component sees the variables named under it, no others.
spin_manifest_version = 2

[application]
name = "cofrap-auth"
version = "0.1.0"
description = "COFRAP's authentication: generated passwords, TOTP, expiry, as WebAssembly functions on PostgreSQL"

"#;

/// An application variable: its name, how it is declared, and what it is.
const VARIABLES: [(&str, &str, &str); 7] = [
    (DATABASE_URL, "{ required = true, secret = true }", "postgres://user:password@host:port/database"),
    (
        DATABASE_HOST,
        "{ required = true }",
        "The one place that components may connect to: host:port, that of database_url.",
    ),
    (
        ENCRYPTION_KEY,
        "{ required = true, secret = true }",
        "32 bytes in base64 (`openssl rand -base64 32`); a comma-separated list rotates: the first encrypts, all decrypt.",
    ),
    (
        JWT_SECRET,
        "{ required = true, secret = true }",
        "Another key under the same rules: the first signs, all verify.",
    ),
    (ADMIN_TOKEN, "{ default = \"\", secret = true }", "At least 32 characters; empty: there are no operator routes."),
    (METRICS_TOKEN, "{ default = \"\", secret = true }", "At least 32 characters; empty: there is no /metrics."),
    (
        SETTINGS,
        "{ required = true }",
        "name=value pairs with white space between them, `policy` at least: see \"Configuration\" in README.md.",
    ),
];

/// Writes the file.
pub(crate) fn write() -> Result<()> {
    fs::write(checkout().join(FILE), text()).context("cannot write spin.toml")?;
    deployment::write()?;
    say("wrote spin.toml, and what deploy/ says of routes");
    Ok(())
}

/// What the file, the table and the folders of components do not agree on.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut problems = deployment::problems()?;
    let written = fs::read_to_string(checkout().join(FILE)).context("cannot read spin.toml")?;
    if written != text() {
        problems.push("spin.toml is not what the table of routes says: run `cargo xtask manifest`".to_owned());
    }
    let folders = names()?;
    for folder in &folders {
        if !ROUTES.iter().any(|route| route.component == folder) {
            problems.push(format!("components/{folder} is not in the table of routes"));
        }
    }
    for route in ROUTES {
        if !folders.iter().any(|folder| folder == route.component) {
            problems.push(format!("the table of routes has {}, which is no folder of components", route.component));
        }
        problems.extend(name_problem(route));
    }
    Ok(problems)
}

/// A function's component has its path's name, with `mfa` for `2fa`.
fn name_problem(route: &Route) -> Option<String> {
    let name = route.paths.iter().find_map(|path| path.strip_prefix("/function/")).filter(|name| *name != "...")?;
    let expected = name.replace("2fa", "mfa");
    (route.component != expected).then(|| format!("the component of /function/{name} is to be called {expected}"))
}

fn text() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("[variables]\n");
    for (name, declaration, comment) in VARIABLES {
        let _ = write!(text, "# {comment}\n{name} = {declaration}\n");
    }
    for route in ROUTES {
        write_route(&mut text, route);
    }
    text
}

fn write_route(text: &mut String, route: &Route) {
    let Route { component, paths, variables, summary, .. } = route;
    for path in *paths {
        let _ = write!(text, "\n[[trigger.http]]\nroute = \"{path}\"\ncomponent = \"{component}\"\n");
    }
    let file = component.replace('-', "_");
    let _ = write!(
        text,
        "\n[component.{component}]\ndescription = \"{summary}\"\n\
         source = \"target/wasm32-wasip2/component/cofrap_{file}.wasm\"\n"
    );
    if variables.contains(&DATABASE_URL) {
        let _ = writeln!(text, "allowed_outbound_hosts = [\"postgres://{{{{ {DATABASE_HOST} }}}}\"]");
    }
    let _ = write!(
        text,
        "\n[component.{component}.build]\n\
         command = \"cargo xtask build\"\n\
         watch = [\"components/{component}/**/*\", \"shared/**/*\"]\n\
         \n[component.{component}.variables]\n"
    );
    for name in [SETTINGS].iter().chain(*variables) {
        let _ = writeln!(text, "{name} = \"{{{{ {name} }}}}\"");
    }
}
