//! The specification's walkthrough, from nothing to a login, and half a year later.

use cofrap_tests::{MAX_AGE, TestApp};

#[tokio::test]
async fn a_password_is_generated_a_second_factor_enrolled_and_the_account_logs_in_until_it_expires() {
    let app = TestApp::start().await;
    let post = async |path: &str, body: &str| app.post(path, "application/json", body.to_owned()).await;

    // 1. Générer le mot de passe
    let password = post("/function/generate-password-v2", r#"{"username": "michel.ranu"}"#).await.ok().read_qr_code();
    // 2. Générer le secret 2FA
    let uri = post("/function/generate-2fa-v2", r#"{"username": "michel.ranu"}"#).await.ok().read_qr_code();
    let mut michel = cofrap_tests::Person::new(&app, "michel.ranu", password, &uri);
    // Authentification quotidienne
    michel.log_in().await.ok();
    app.clock.advance(24 * 60 * 60);
    michel.log_in().await.ok();
    // Plus de six mois après
    app.clock.advance(MAX_AGE);
    michel.log_in().await.problem(403, "password_expired");
}
