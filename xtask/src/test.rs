//! `test`: everything a contributor must see green.

use crate::cargo::{cargo, command, run};
use crate::{checkout, components, say};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Builds the components, then runs the tests of every native crate; says in the end how many there were.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    install_browser_rules()?;
    components::build_with_probe()?;
    say("running the tests");
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let mut child = cargo()
        // Half as many again: tests wait for clocks, locks and browsers more than they compute.
        .env("RUST_TEST_THREADS", (cores + cores.div_ceil(2)).to_string())
        .args(["test", "--no-fail-fast"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `cargo test`")?;

    let mut total = Tally::default();
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
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
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
        let mut total = Tally::default();
        total.add("running 3 tests");
        total.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        total.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!(total, Tally { passed: 5, failed: 1, ignored: 1 });
    }
}
