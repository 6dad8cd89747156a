//! `cargo xtask new-endpoint`: what it makes is built, in a copy of the project.

use cofrap_tests::{Folder, checkout, xtask};
use std::process::Command;

#[test]
fn a_new_endpoint_is_built_as_it_is_made() {
    let folder = Folder::new("new-endpoint");
    // What was deleted and not committed is in the list, too.
    let copy = "git ls-files --cached --others --exclude-standard -z | while IFS= read -r -d '' file; do
        if [ -e \"$file\" ]; then printf '%s\\0' \"$file\"; fi; done | xargs -0 cp --parents -t \"$0\"";
    let copied =
        Command::new("bash").args(["-euo", "pipefail", "-c", copy]).arg(folder.path()).current_dir(checkout()).status();
    assert!(copied.unwrap().success());
    let made = xtask().args(["new-endpoint", "account-history", "--in"]).arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success() && said.contains("Left to write"), "{said}");
    // What must be written by hand is named, and is no more than eight files.
    let left = said.lines().filter(|line| line.starts_with("    ")).count();
    assert!((1..=8).contains(&left), "{said}");
    let again = xtask().args(["new-endpoint", "account-history", "--in"]).arg(folder.path()).output().unwrap();
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is there already"));

    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "cofrap-account-history", "--target", "wasm32-wasip2"])
        .args(["--config", "profile.dev.package.\"*\".opt-level = 0", "--target-dir"])
        .arg(checkout().join("target/new-endpoint"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let component = checkout().join("target/new-endpoint/wasm32-wasip2/debug/cofrap_account_history.wasm");
    assert!(component.is_file());
}
