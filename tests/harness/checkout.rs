//! Where the project lies.

use std::path::Path;

/// The project's root.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the project's root")
}
