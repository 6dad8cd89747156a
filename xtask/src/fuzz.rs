//! The fuzz targets, run briefly where a nightly toolchain is: longer runs are `cargo +nightly fuzz run NAME`.

use crate::cargo::{command, run};
use crate::checkout::checkout;
use anyhow::{Context, Result};
use cofrap_database::say;
use std::fs;
use std::process::Stdio;

/// Seconds for each target.
const SECONDS: u32 = 5;

/// Runs every target on its corpus and a little further. New inputs go to an ignored folder; the corpus is what people keep.
pub(crate) fn check() -> Result<()> {
    say("fuzz targets");
    if !answers(&["+nightly", "--version"]) || !answers(&["+nightly", "fuzz", "--version"]) {
        say("skipped: they need a nightly toolchain and `cargo install cargo-fuzz`");
        return Ok(());
    }
    let folder = checkout().join("fuzz/fuzz_targets");
    let mut targets: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    // Without the sanitizer: there is no unsafe code of ours for it to watch.
    run(cargo_fuzz().args(["build", "--sanitizer", "none"]))?;
    for target in targets {
        let found = format!("target/fuzz/{target}");
        fs::create_dir_all(checkout().join(&found))?;
        run(cargo_fuzz()
            .args(["run", "--sanitizer", "none", &target, &found, &format!("fuzz/corpus/{target}"), "--"])
            .args([
                format!("-max_total_time={SECONDS}"),
                "-verbosity=0".to_owned(),
                "-print_final_stats=1".to_owned(),
            ]))?;
    }
    Ok(())
}

fn cargo_fuzz() -> std::process::Command {
    let mut cargo = command("cargo");
    // The toolchain that runs this would otherwise be the one that builds.
    cargo.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN").args(["+nightly", "fuzz"]);
    cargo
}

fn answers(arguments: &[&str]) -> bool {
    let mut cargo = command("cargo");
    cargo.env_remove("RUSTUP_TOOLCHAIN").args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}
