//! Other programs, run in the project's root with their output in the open.

use crate::checkout::checkout;
use anyhow::{Context, Result, bail};
use cofrap_database::say;
use std::process::{Command, Stdio};

/// The Cargo that runs this.
#[expect(clippy::disallowed_methods, reason = "Cargo tells its own path")]
pub(crate) fn cargo() -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(checkout());
    command
}

/// Runs a command to its end, or ends it when `shutdown` comes first. Whether it came to its end.
pub(crate) async fn run_until(command: Command, shutdown: impl Future<Output = ()>) -> Result<bool> {
    let name = describe(&command);
    let mut child = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run `{name}`"))?;
    tokio::select! {
        status = child.wait() => {
            if !status?.success() {
                bail!("`{name}` failed");
            }
            Ok(true)
        }
        () = shutdown => Ok(false),
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = describe(command);
    let status = command.status().with_context(|| format!("cannot run `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed");
    }
    Ok(())
}

pub(crate) fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Adds a compilation target to the toolchain unless it is there.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    if has_target(target) {
        return Ok(());
    }
    say(&format!("adding the Rust target {target}"));
    run(command("rustup").args(["target", "add", target]))
        .with_context(|| format!("the Rust target {target} is missing: add it with `rustup target add {target}`"))
}

fn has_target(target: &str) -> bool {
    let output = command("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success());
    output.is_some_and(|output| std::path::Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
