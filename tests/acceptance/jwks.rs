//! `GET /.well-known/jwks.json`: what a service that relies on sessions can rely on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cofrap_tests::{Settings, TestApp};
use ed25519_dalek::{Signature, VerifyingKey};
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/.well-known/jwks.json";

#[tokio::test]
async fn another_implementation_verifies_sessions_with_the_key_set_alone() {
    let app = TestApp::start().await;
    let token = app.active_account("michel.ranu").await.session().await;
    let keys = app.request(Method::GET, PATH).await.ok().0;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: Value = serde_json::from_slice(&decode(signed.split('.').next().unwrap())).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("JWT")));
    let key = VerifyingKey::from_bytes(&decode(key["x"].as_str().unwrap()).try_into().unwrap()).unwrap();
    key.verify_strict(signed.as_bytes(), &Signature::from_slice(&decode(signature)).unwrap()).unwrap();
}

#[tokio::test]
async fn every_key_of_the_list_stands_in_it_and_the_database_is_not_asked() {
    let list = "bmV3IHNpZ25pbmcga2V5IG9mIGFjY2VwdGFuY2UhISE=,c2lnbmluZyBrZXkgb2YgYWNjZXB0YW5jZSB0ZXN0cyE=";
    let app = TestApp::start_with(Settings::variable("jwt_secret", list).and("database_url", "none")).await;
    let keys = app.request(Method::GET, PATH).await.ok().0;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    app.request(Method::POST, PATH).await.problem(405, "method_not_allowed");
}
