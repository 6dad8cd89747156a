//! `test`: everything a contributor must see green.

use crate::cargo::{cargo, command, run};
use crate::checkout::checkout;
use crate::components;
use anyhow::{Context, Result, bail};
use clap::Args;
use cofrap_database::say;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// The acceptance tests that need no control of clock and variables; one after the other, since some end everybody's connections.
const ANYWHERE: [&str; 5] = ["--test", "acceptance", "--", "anywhere::directly::", "--test-threads=1"];

/// Functions that run elsewhere, on any Spin.
#[derive(Args)]
pub(crate) struct Elsewhere {
    /// Runs the tests that need no control of clock and variables, against functions that run at this http:// URL with
    /// `trusted_proxy_hops=1`; their operator's token is read from `SPIN_VARIABLE_ADMIN_TOKEN`
    #[arg(long, requires = "database_url")]
    host_url: Option<String>,
    /// Their database, as a user who may look into it and end their sessions
    #[arg(long, requires = "host_url", hide_env_values = true)]
    database_url: Option<String>,
    #[arg(long, env = "SPIN_VARIABLE_ADMIN_TOKEN", hide = true, hide_env_values = true)]
    admin_token: Option<String>,
}

/// Builds the components, then runs the tests of every native crate; says in the end how many there were.
pub(crate) fn test(elsewhere: &Elsewhere, arguments: &[String]) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]);
    if let (Some(host), Some(database)) = (&elsewhere.host_url, &elsewhere.database_url) {
        say(&format!("running the tests against {host}"));
        let token =
            elsewhere.admin_token.as_deref().context("set SPIN_VARIABLE_ADMIN_TOKEN to their operator's token")?;
        command.env("COFRAP_HOST_URL", host).env("COFRAP_DATABASE_URL", database).env("COFRAP_ADMIN_TOKEN", token);
        command.args(ANYWHERE);
    } else {
        install_browser_rules()?;
        components::build_with_probe()?;
        say("running the tests");
    }
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut child = command
        // Half as many again: tests wait for clocks, locks and browsers more than they compute.
        .env("RUST_TEST_THREADS", (cores + cores.div_ceil(2)).to_string())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `cargo test`")?;

    let mut total = Totals::default();
    for line in BufReader::new(child.stdout.take().context("the output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        total.add(&line);
    }
    let status = child.wait()?;
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.ignored);
    if !status.success() {
        bail!("some tests failed");
    }
    Ok(())
}

/// What the browser tests bring along from npm, unless it is there as the lock file says.
fn install_browser_rules() -> Result<()> {
    let folder = checkout().join("tests/browser");
    let changed = |name: &str| fs::metadata(folder.join(name)).and_then(|file| file.modified()).ok();
    if changed("node_modules/.package-lock.json").is_some_and(|there| Some(there) >= changed("package-lock.json")) {
        return Ok(());
    }
    say("installing what the browser tests need from npm");
    run(command("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))
        .context("the browser tests need npm, chromium and chromedriver: see CONTRIBUTING.md")
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    /// Adds a line like `test result: ok. 3 passed; 0 failed; 0 ignored; ...`; other lines count nothing.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut total = Totals::default();
        total.add("running 3 tests");
        total.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        total.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!(total, Totals { passed: 5, failed: 1, ignored: 1 });
    }
}
