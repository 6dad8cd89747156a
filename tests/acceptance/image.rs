//! The image: what a registry is given, and that the same sources give the same.

use cofrap_host::Manifest;
use cofrap_tests::{Folder, Registry, checkout, component_files, xtask};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// `cargo xtask image push`, and what it prints.
fn push(reference: &str, more: &[&str], prepare: impl Fn(&mut Command)) -> String {
    let mut command = xtask();
    command.args(["image", "push", reference]).args(more);
    prepare(&mut command);
    let output = command.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test]
async fn what_a_registry_is_given_is_the_application_by_digest() {
    let registry = Registry::start().await;
    let place = format!("{}/cofrap/auth", registry.place());
    let printed = tokio::task::spawn_blocking(move || push(&format!("{place}:test"), &[], |_| ())).await.unwrap();
    let (_, pushed) = printed.split_once('@').expect("a name with a digest");

    let manifest = registry.get("cofrap/auth/manifests/test").await;
    assert_eq!(digest(&manifest), pushed);
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], "1970-01-01T00:00:00Z");
    let layers = manifest["layers"].as_array().unwrap();
    let (last, components) = layers.split_last().unwrap();

    // Every component as it was built, each once.
    let mut files: Vec<_> = component_files().iter().map(|path| digest(&fs::read(path).unwrap())).collect();
    let mut pushed: Vec<_> = components.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect();
    files.sort();
    pushed.sort();
    assert_eq!(pushed, files);
    for layer in components {
        assert_eq!(layer["mediaType"], "application/vnd.wasm.content.layer.v1+wasm");
        let bytes = registry.get(&format!("cofrap/auth/blobs/{}", layer["digest"].as_str().unwrap())).await;
        assert_eq!(digest(&bytes), layer["digest"]);
    }

    assert_eq!(last["mediaType"], "application/vnd.fermyon.spin.application.v1+config");
    let application = registry.get(&format!("cofrap/auth/blobs/{}", last["digest"].as_str().unwrap())).await;
    let config = registry.get(&format!("cofrap/auth/blobs/{}", manifest["config"]["digest"].as_str().unwrap())).await;
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&"wasm".into(), &"wasip1".into()));
    assert_eq!(config["config"]["Labels"]["com.fermyon.spin.lockedAppDigest"], last["digest"]);
    check_application(&serde_json::from_slice(&application).unwrap(), &pushed);
}

/// It says what `spin.toml` says, and names each component by its content.
fn check_application(application: &Value, components: &[String]) {
    let manifest = Manifest::read(&checkout().join("spin.toml")).unwrap();
    let triggers = application["triggers"].as_array().unwrap();
    let routes: Vec<_> = triggers.iter().map(|trigger| trigger["trigger_config"]["route"].as_str().unwrap()).collect();
    assert_eq!(routes, manifest.routes().collect::<Vec<_>>());
    for (id, mut granted) in manifest.granted() {
        let component = application["components"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap();
        let mut given: Vec<_> =
            component["config"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        granted.sort_unstable();
        given.sort_unstable();
        assert_eq!(given, granted, "{id}");
        assert!(components.iter().any(|digest| component["source"]["digest"] == digest.as_str()), "{id}");
        let connects = component["metadata"].get("allowed_outbound_hosts").is_some();
        assert_eq!(connects, granted.contains(&"database_url"), "{id}");
    }
    let variables = application["variables"].as_object().unwrap();
    assert!(variables.keys().all(|name| manifest.declares(name)));
    assert_eq!(variables["encryption_key"]["secret"], true);
}

/// In another folder, with the crates' sources elsewhere, with flags of somebody's own.
#[test]
fn two_builds_in_two_places_come_to_one_digest() {
    let folder = Folder::new("image");
    let (other, home) = (folder.path().join("another/place"), folder.path().join("cargo"));
    copy_sources(checkout(), &other);
    fs::create_dir_all(&home).unwrap();
    for name in ["registry", "config.toml"] {
        let original = cargo_home().join(name);
        if original.exists() {
            symlink(original, home.join(name)).unwrap();
        }
    }
    let here = push("registry.example/cofrap/auth:test", &["--dry-run"], |_| ());
    let there =
        push("registry.example/cofrap/auth:test", &["--dry-run", "--source", other.to_str().unwrap()], |command| {
            command.env("CARGO_HOME", &home).env("RUSTFLAGS", "-C debuginfo=0").env_remove("CARGO_TARGET_DIR");
        });
    assert_eq!(here, there);
    for file in component_files() {
        let bytes = fs::read(&file).unwrap();
        for place in [checkout().to_str().unwrap(), cargo_home().to_str().unwrap()] {
            let is_there = bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!is_there, "{} names {place}", file.display());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "Cargo says where its things are")]
fn cargo_home() -> std::path::PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(Into::into);
    home.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").expect("a home")).join(".cargo"))
}

/// The files that git knows, and new ones that it would.
fn copy_sources(from: &Path, to: &Path) {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(from).output().expect("git is installed");
    for name in String::from_utf8(output.stdout).unwrap().split_terminator('\0') {
        let (source, target) = (from.join(name), to.join(name));
        // What was removed and not committed yet.
        if source.is_file() {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(source, target).unwrap();
        }
    }
}
