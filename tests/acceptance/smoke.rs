//! `test/test_v2_functions.py`: the seed's command, against these functions.

use cofrap_tests::{ADMIN_TOKEN, Settings, TestApp, checkout};
use std::process::{Command, Output};

async fn smoke(app: &TestApp, token: &str) -> (Output, String) {
    let url = format!("http://{}", app.address);
    let token = token.to_owned();
    let run = move || {
        Command::new("python3")
            .args(["test/test_v2_functions.py", &url])
            .env("ADMIN_TOKEN", token)
            .current_dir(checkout())
            .output()
            .expect("python3 is installed")
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}

/// It waits for fresh codes of its own clock.
#[tokio::test]
async fn everything_goes_well_and_expiry_is_tried_with_the_operator_s_token() {
    let app = TestApp::anywhere().await;
    let (output, said) = smoke(&app, ADMIN_TOKEN).await;
    assert!(output.status.success() && said.contains("9 passed, 0 failed, 1 skipped"), "{said}");
    assert!(said.contains("skipped  the gateway"), "{said}");
    let disabled = "SELECT count(*) FROM users_v2 WHERE username LIKE 'smoke.%' AND disabled_at IS NOT NULL";
    assert_eq!(app.database.count(disabled).await, 1);
    assert!(!said.contains(ADMIN_TOKEN));
}

#[tokio::test]
async fn what_does_not_go_well_is_said_with_a_status() {
    let closed = TestApp::start_with(Settings::variable("registration", "operator")).await;
    let (output, said) = smoke(&closed, "").await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAILED  generate-password-v2") && said.contains("1 failed"), "{said}");

    let output = Command::new("python3")
        .args(["test/test_v2_functions.py", "http://127.0.0.1:1"])
        .current_dir(checkout())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot reach http://127.0.0.1:1"));
}
