//! `test`: everything a contributor must see green.

use crate::cargo::{cargo, command, run};
use crate::checkout::checkout;
use crate::components;
use anyhow::{Context, Result, bail};
use clap::Args;
use cofrap_database::say;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// The acceptance tests that need no control of clock and variables; one after the other, since some end everybody's connections.
const ANYWHERE: [&str; 5] = ["--test", "acceptance", "--", "anywhere::directly::", "--test-threads=1"];

/// How long the tests may say nothing, compilation included. A test that never ends is named then.
const LONGEST_SILENCE: Duration = Duration::from_mins(15);

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

    let (lines, output) = mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().context("the output is piped")?);
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    let (mut total, mut slow) = (Totals::default(), BTreeSet::new());
    loop {
        match output.recv_timeout(LONGEST_SILENCE) {
            Ok(line) => {
                println!("{line}");
                total.add(&line);
                note_slow(&mut slow, &line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                let slow: Vec<_> = slow.into_iter().collect();
                bail!(
                    "no test ended for {} minutes; still running: {}",
                    LONGEST_SILENCE.as_secs() / 60,
                    slow.join(", ")
                );
            }
        }
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

/// Keeps the names of the tests that have run for over a minute and not ended.
fn note_slow(slow: &mut BTreeSet<String>, line: &str) {
    let Some(rest) = line.strip_prefix("test ") else { return };
    if let Some((name, _)) = rest.split_once(" has been running for over ") {
        slow.insert(name.to_owned());
    } else if let Some((name, _)) = rest.split_once(" ... ") {
        slow.remove(name);
    }
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
    fn a_test_is_slow_from_its_first_minute_to_its_end() {
        let mut slow = BTreeSet::new();
        for line in ["test a::b has been running for over 60 seconds", "test c::d has been running for over 60 seconds"]
        {
            note_slow(&mut slow, line);
        }
        note_slow(&mut slow, "test a::b ... ok");
        assert_eq!(slow, BTreeSet::from(["c::d".to_owned()]));
    }

    #[test]
    fn result_lines_are_added_up() {
        let mut total = Totals::default();
        total.add("running 3 tests");
        total.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        total.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!(total, Totals { passed: 5, failed: 1, ignored: 1 });
    }
}
