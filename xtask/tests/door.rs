//! What ends `cargo xtask up` before it begins: one clear sentence with the remedy, and exit status 1.

#![expect(clippy::unwrap_used, reason = "where a test fails, it panics")]

use std::net::TcpListener;
use std::process::Command;

/// 32 bytes each, for no other use.
const KEY: &str = "a2V5IG9mIHRoZSBkb29yJ3MgdGVzdHMsIG5vIG90aGU=";
const TOKEN_KEY: &str = "YW5vdGhlciBvbmUsIHRvIHNpZ24gdG9rZW5zIHdpdGg=";

/// Names of the environment that lead to a database.
const DATABASE: [&str; 6] =
    ["DATABASE_URL", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"];

/// Runs `up` with keys and settings of the environment, so that no `.env` is written; what it said.
fn refused(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    for name in DATABASE {
        command.env_remove(name);
    }
    let output = command
        .arg("up")
        .args(arguments)
        .env("SPIN_VARIABLE_ENCRYPTION_KEY", KEY)
        .env("SPIN_VARIABLE_JWT_SECRET", TOKEN_KEY)
        .env("SPIN_VARIABLE_SETTINGS", "policy=strict")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{said}");
    said
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_taken_port_names_another_place() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(&["--listen", &address], &[]);
    assert!(said.contains(&address) && said.contains("--listen 127.0.0.1:0"), "{said}");
}

#[test]
fn a_place_that_is_none_shows_how_to_write_one() {
    assert!(refused(&["--listen", "8080"], &[]).contains("127.0.0.1:8080"));
}

#[test]
fn an_unreachable_database_asks_whether_it_runs() {
    let url = format!("postgres://user:canary@{}/database", free_address());
    for said in [
        refused(&["--listen", "127.0.0.1:0", "--database-url", &url], &[]),
        refused(&["--listen", "127.0.0.1:0"], &[("DATABASE_URL", &url)]),
    ] {
        assert!(said.contains("is it running") && !said.contains("canary"), "{said}");
    }
}

#[test]
fn a_database_url_that_is_none_shows_how_to_write_one() {
    for url in
        ["nonsense", "postgres://127.0.0.1/database", "postgres:///database?user=u&host=/run", "postgres://u@a,b/d"]
    {
        let said = refused(&["--listen", "127.0.0.1:0", "--database-url", url], &[]);
        assert!(said.contains("postgres://user:password@host:port/database") || said.contains("one host"), "{said}");
    }
}

#[test]
fn a_key_that_is_none_says_how_to_make_one() {
    for key in ["short", "votre-cle-secrete-jwt-super-securisee", ""] {
        let said = refused(&["--listen", "127.0.0.1:0"], &[("SPIN_VARIABLE_ENCRYPTION_KEY", key)]);
        assert!(said.contains("openssl rand -base64 32") && (key.is_empty() || !said.contains(key)), "{said}");
    }
}

#[test]
fn a_configuration_that_no_function_could_use_names_the_variable() {
    for (name, value, words) in [
        ("SETTINGS", "", "policy is missing"),
        ("SETTINGS", "policy=lax", "policy must be strict or legacy"),
        ("SETTINGS", "policy=strict registration=closed", "registration must be open or operator"),
        ("SETTINGS", "policy=strict policy=strict", "policy is given twice"),
        ("SETTINGS", "policy=strict password_max_age_seconds=0", "password_max_age_seconds must be a whole number"),
        ("SETTINGS", "policy=strict trusted_proxy_hops=-1", "trusted_proxy_hops must be a whole number"),
        ("SETTINGS", "policy=strict,ip_failures_limit=9", "policy must be strict or legacy"),
        ("SETTINGS", "policy=strict canary=1", "entry 2 is unknown"),
        ("JWT_SECRET", KEY, "openssl"),
        ("ADMIN_TOKEN", "canary", "32"),
        ("ADMIN_TOKEN", KEY, "openssl"),
    ] {
        let said = refused(&["--listen", "127.0.0.1:0"], &[(&format!("SPIN_VARIABLE_{name}"), value)]);
        assert!(said.contains(&format!("variable {}: ", name.to_lowercase())) && said.contains(words), "{said}");
        assert!(!said.contains("canary") && !said.contains(KEY), "{said}");
    }
}

#[test]
fn a_variable_of_an_older_version_beside_the_settings_is_refused_with_the_line_to_write() {
    let said = refused(&["--listen", "127.0.0.1:0"], &[("SPIN_VARIABLE_REGISTRATION", "operator")]);
    assert!(said.contains("SPIN_VARIABLE_SETTINGS=\"policy=strict registration=operator\""), "{said}");
    let said = refused(&["--listen", "127.0.0.1:0"], &[("SPIN_VARIABLE_SETTINGS", "policy=lax")]);
    assert!(said.contains("(SPIN_VARIABLE_SETTINGS in the environment)"), "{said}");
}

#[test]
fn the_names_of_the_functions_before_lead_to_a_database() {
    let address = free_address();
    let (host, port) = address.split_once(':').unwrap();
    let environment =
        [("POSTGRES_HOST", host), ("POSTGRES_PORT", port), ("POSTGRES_USER", "u"), ("POSTGRES_PASSWORD", "c@n/ary")];
    let said = refused(&["--listen", "127.0.0.1:0"], &environment);
    assert!(said.contains("connecting to the named database") && said.contains("is it running"), "{said}");
    assert!(!said.contains("c@n/ary"), "{said}");
    assert!(refused(&["--listen", "127.0.0.1:0"], &environment[..2]).contains("POSTGRES_USER"));
    assert!(
        refused(&["--listen", "127.0.0.1:0"], &[("POSTGRES_HOST", "a,b"), ("POSTGRES_USER", "u")]).contains("one host")
    );
}

#[test]
fn the_key_of_the_functions_before_is_the_key() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["migrate", "--dry-run", "--database-url", &format!("postgres://u:p@{}/d", free_address())]);
    let output = command.env("ENCRYPTION_KEY", "short").env_remove("SPIN_VARIABLE_ENCRYPTION_KEY").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("variable encryption_key: "), "{said}");
}

#[test]
fn a_dry_run_without_a_database_asks_for_one_and_makes_none() {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["migrate", "--dry-run"])
        .env_remove("DATABASE_URL")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("DATABASE_URL"), "{said}");
    assert!(!said.contains("making"), "{said}");
}
