//! The components as they ship.

use cofrap_tests::component_files;

/// 450 KiB: what a node pulls, and what every cold start compiles.
const MOST_BYTES: u64 = 450 * 1024;

#[test]
fn no_component_is_larger_than_450_kib() {
    let files = component_files();
    assert!(!files.is_empty());
    for file in files {
        let bytes = file.metadata().unwrap().len();
        assert!(bytes <= MOST_BYTES, "{}: {bytes} bytes", file.display());
    }
}
