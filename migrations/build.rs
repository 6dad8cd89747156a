//! Cargo cannot see which files `embed_migrations!` reads; and the files of the functions are many.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[expect(clippy::disallowed_methods, reason = "Cargo configures a build script by its environment")]
fn main() {
    println!("cargo::rerun-if-changed=sql");
    let folder = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it")).join("sql/functions");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut list = String::from("[\n");
    for file in files {
        let (name, path) = (file.file_stem().expect("a name").to_string_lossy(), file.display().to_string());
        writeln!(list, "    ({name:?}, include_str!({path:?})),").expect("a text takes more");
    }
    list += "]\n";
    let out = env::var_os("OUT_DIR").expect("Cargo sets it");
    fs::write(Path::new(&out).join("functions.rs"), list).expect("it can be written");
}
