//! `POST /function/generate-2fa-v2`: what a caller can rely on.

use cofrap_tests::{TestApp, now_at_start};
use serde_json::json;

#[tokio::test]
async fn the_answer_is_the_specification_s_and_its_qr_code_is_the_uri() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    let answer = app.generate_mfa("michel.ranu").await.ok();
    let uri = answer.read_qr_code();
    let secret = uri
        .strip_prefix("otpauth://totp/MSPR2-COFRAP:michel.ranu?secret=")
        .and_then(|rest| rest.strip_suffix("&issuer=MSPR2-COFRAP"))
        .unwrap_or_else(|| panic!("{uri}"));
    assert!(secret.len() == 32 && secret.bytes().all(|c| matches!(c, b'A'..=b'Z' | b'2'..=b'7')), "{secret}");

    let mut body = answer.0;
    body["qr_code"].take();
    let expected = json!({
        "success": true, "username": "michel.ranu", "qr_code": null, "provisioning_uri": uri, "issuer": "MSPR2-COFRAP",
        "message": "Secret 2FA généré avec succès",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_is_stored_is_a_fernet_token_of_the_base32_secret_with_its_birth() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    app.clock.advance(5);
    let uri = app.generate_mfa("michel.ranu").await.ok().read_qr_code();
    let stored = app.database.text("SELECT mfa::text FROM users_v2").await;
    let secret = app.unseal(stored);
    assert!(uri.contains(&format!("?secret={secret}&")));
    assert_eq!(app.database.count("SELECT mfa_gendate FROM users_v2").await, now_at_start() + 5);
    assert!(!app.database.dump().await.contains(&secret) && !app.log().contains(&secret));
}

#[tokio::test]
async fn the_issuer_is_the_caller_s_and_everything_reserved_is_percent_encoded() {
    let app = TestApp::start().await;
    app.generate_password("ève @co+1").await.ok();
    let body = json!({ "username": "ève @co+1", "issuer": "R&D/Été" });
    let answer = app.call("generate-2fa-v2", body).await.ok();
    let uri = answer.read_qr_code();
    assert!(uri.starts_with("otpauth://totp/R%26D%2F%C3%89t%C3%A9:%C3%A8ve%20%40co%2B1?secret="), "{uri}");
    assert!(uri.ends_with("&issuer=R%26D%2F%C3%89t%C3%A9"), "{uri}");
    assert_eq!(answer.0["issuer"], "R&D/Été");
}

#[tokio::test]
async fn the_longest_name_and_issuer_still_make_a_readable_code() {
    let app = TestApp::start().await;
    let (name, issuer) = ("𠀀".repeat(50), "🔐".repeat(64));
    app.generate_password(&name).await.ok();
    let answer = app.call("generate-2fa-v2", json!({ "username": name, "issuer": issuer })).await.ok();
    assert_eq!(answer.read_qr_code(), answer.0["provisioning_uri"]);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_one_is_refused_by_the_field_s_name() {
    let app = TestApp::start().await;
    app.generate_password("michel.ranu").await.ok();
    for issuer in [json!(""), json!("a:b"), json!("e".repeat(65)), json!("a\nb"), json!(1), json!({})] {
        let body = json!({ "username": "michel.ranu", "issuer": issuer });
        let problem = app.call("generate-2fa-v2", body).await.problem(400, "invalid_field");
        assert!(problem["error"].as_str().unwrap().contains("issuer"), "{problem}");
    }
}

#[tokio::test]
async fn a_second_secret_for_the_same_password_needs_proof() {
    let app = TestApp::start().await;
    let mut michel = app.provisional_account("michel.ranu").await;
    app.generate_mfa("michel.ranu").await.problem(403, "proof_required");
    michel.log_in().await.ok();
}

#[tokio::test]
async fn unknown_enrolled_and_active_accounts_are_refused_alike() {
    let app = TestApp::start().await;
    let _ = app.provisional_account("enrolled").await;
    let _ = app.active_account("active").await;
    let unknown = app.generate_mfa("nobody").await;
    unknown.problem(403, "proof_required");
    assert_eq!(app.generate_mfa("enrolled").await.visible(), unknown.visible());
    assert_eq!(app.generate_mfa("active").await.visible(), unknown.visible());
    assert_eq!(app.generate_mfa("ENROLLED").await.visible(), unknown.visible());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_enrolments_one_secret_is_given_out_and_it_is_the_stored_one() {
    let app = TestApp::start().await;
    for round in 0..20 {
        let name = format!("michel.{round}");
        app.generate_password(&name).await.ok();
        let (one, other) = tokio::join!(app.generate_mfa(&name), app.generate_mfa(&name));
        let (given, refused) = if one.status == 200 { (one, other) } else { (other, one) };
        assert!(matches!(refused.status, 403 | 409), "{}", refused.body);
        let stored = app.database.text(&format!("SELECT mfa::text FROM users_v2 WHERE username = '{name}'")).await;
        let stored = app.unseal(stored);
        assert!(given.ok().read_qr_code().contains(stored.as_str()));
    }
}

#[tokio::test]
async fn a_missing_name_is_asked_for_in_the_specification_s_words() {
    let app = TestApp::start().await;
    let problem = app.call("generate-2fa-v2", json!({ "issuer": "x" })).await.problem(400, "missing_field");
    assert_eq!(problem["error"], "Le paramètre username est requis");
}
