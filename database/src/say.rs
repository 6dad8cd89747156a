//! Progress, for people.

use std::io::Write;

/// Says what is being done, on standard error as Cargo does.
pub fn say(what: &str) {
    // Whoever read it may have left; the work goes on.
    let _ = writeln!(std::io::stderr(), "==> {what}");
}
