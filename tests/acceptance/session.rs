//! `/function/session`: what a bearer can rely on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cofrap_crypto::{LoginTokenClaims, SessionClaims, TokenPurpose};
use cofrap_tests::{MAX_AGE, Settings, TestApp};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

const PATH: &str = "/function/session";

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_login_s_token_says_who_bears_it_until_when() {
    let app = TestApp::start().await;
    let born = app.clock.now();
    let mut michel = app.active_account("michel.ranu").await;
    let token = michel.session().await;
    let (id, now) = (app.database.count("SELECT id::bigint FROM users_v2").await, app.clock.now());
    let expected = json!({
        "username": "michel.ranu", "user_id": id, "issued_at": now, "expires_at": now + 1800, "expires_in": 1800,
        "renewal_due_at": born + MAX_AGE,
    });
    assert_eq!(app.session(&token).await.ok().0, expected);
    let mut claims = claims(&token);
    assert!(claims["jti"].take().as_str().unwrap().len() >= 22);
    let epoch = app.database.count("SELECT session_epoch FROM users_v2").await;
    let expected = json!({
        "iss": "cofrap-auth", "aud": "cofrap", "sub": id.to_string(), "iat": now, "nbf": now, "exp": now + 1800,
        "jti": null, "auth_time": now, "epoch": epoch,
        "acct": URL_SAFE_NO_PAD.encode(app.identity("michel.ranu").await), "sid": null,
    });
    assert!(claims["sid"].take().as_str().unwrap().len() >= 22);
    assert_eq!(claims, expected);
    app.clock.advance(1799);
    app.session(&token).await.ok();
    app.clock.advance(1);
    app.session(&token).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn a_session_says_when_the_older_one_of_both_factors_is_to_be_renewed() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let born = app.database.count("SELECT mfa_gendate FROM users_v2").await;
    app.clock.advance(86_400);
    let body = michel.with_credentials();
    michel.password = app.call("generate-password-v2", body).await.ok().read_qr_code();
    let token = michel.session().await;
    let due = app.session(&token).await.ok().0["renewal_due_at"].as_i64().unwrap();
    assert_eq!(due, born + MAX_AGE);
    app.clock.advance(due - app.clock.now());
    michel.log_in().await.ok();
    app.clock.advance(1);
    michel.log_in().await.problem(403, "password_expired");
}

#[tokio::test]
async fn a_session_is_renewed_to_12_hours_after_its_login_and_no_further() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let mut token = michel.session().await;
    let login = app.clock.now();
    while app.clock.now() + 1700 < login + 12 * 3600 {
        app.clock.advance(1700);
        let renewed = app.request_as(&token, Method::POST, PATH).await.ok().0;
        token = renewed["token"].as_str().unwrap().to_owned();
        let expires_at = (app.clock.now() + 1800).min(login + 12 * 3600);
        assert_eq!(renewed["expires_at"], expires_at);
        assert_eq!(renewed["expires_in"], expires_at - app.clock.now());
        assert_eq!(claims(&token)["auth_time"], login);
    }
    app.clock.advance(login + 12 * 3600 - app.clock.now());
    app.session(&token).await.problem(401, "invalid_token");
    app.request_as(&token, Method::POST, PATH).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn ending_a_session_ends_all_of_the_account_at_the_next_request() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let mut other = app.active_account("somebody.else").await;
    let (one, two, others) = (michel.session().await, michel.session().await, other.session().await);
    let answer = app.request_as(&one, Method::DELETE, PATH).await.ok().0;
    assert_eq!(answer["username"], "michel.ranu");
    for token in [&one, &two] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            app.request_as(token, method, PATH).await.problem(401, "invalid_token");
        }
    }
    app.session(&others).await.ok();
    michel.log_in().await.ok();
}

#[tokio::test]
async fn forged_and_foreign_tokens_are_refused() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let token = michel.session().await;
    let parts: Vec<_> = token.split('.').collect();
    let (header, body) = (
        String::from_utf8(URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap(),
        String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap(),
    );
    let keys = app.token_keys();
    let id = app.database.count("SELECT id::bigint FROM users_v2").await;
    let now = app.clock.now();
    let own = SessionClaims {
        user_id: id,
        issued_at: now,
        expires_at: now + 60,
        authenticated_at: now,
        epoch: app.database.count("SELECT session_epoch FROM users_v2").await,
        identity: app.identity("michel.ranu").await,
        session_id: [0; 16],
        token_id: [0; 16],
    };
    app.session(&keys.sign_session(&own)).await.ok();
    let with_header = |header: &str| format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), parts[1], parts[2]);
    let ticket = LoginTokenClaims {
        user_id: id,
        expires_at: now + 60,
        login_counter: 2,
        security_counter: 1,
        credential_versions: [1, 1],
        identity: own.identity,
    };
    let forgeries = [
        String::new(),
        "x".to_owned(),
        with_header(r#"{"alg":"none","typ":"JWT"}"#),
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), parts[1]),
        with_header(&header.replace("EdDSA", "HS256")),
        with_header(&header.replace("\"kid\":\"", "\"kid\":\"x")),
        with_header(&header.replace('}', r#","jku":"https://evil.test"}"#)),
        format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(body.replace("\"epoch\":", "\"epoch\":1")), parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}x"),
        keys.sign_login_token(TokenPurpose::Challenge, &ticket),
        keys.sign_login_token(TokenPurpose::Renewal, &ticket),
        keys.sign_session(&SessionClaims { epoch: own.epoch + 1, ..own.clone() }),
        keys.sign_session(&SessionClaims { user_id: id + 1, ..own.clone() }),
        keys.sign_session(&SessionClaims { identity: [0; 32], ..own.clone() }),
        keys.sign_session(&SessionClaims { expires_at: now, ..own.clone() }),
        keys.sign_session(&SessionClaims { issued_at: now + 60, ..own.clone() }),
        keys.sign_session(&SessionClaims { authenticated_at: now - 12 * 3600, ..own.clone() }),
        cofrap_tests::ADMIN_TOKEN.to_owned(),
    ];
    for forgery in forgeries {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            app.request_as(&forgery, method, PATH).await.problem(401, "invalid_token");
        }
    }
    app.request(Method::GET, PATH).await.problem(401, "invalid_token");
    app.session(&token).await.ok();
}

#[tokio::test]
async fn a_bearer_is_given_once_and_by_its_scheme() {
    let app = TestApp::start().await;
    let token = app.active_account("michel.ranu").await.session().await;
    let get = async |values: &[String]| {
        let request =
            values.iter().fold(Request::get(app.url(PATH)), |request, value| request.header("authorization", value));
        app.send(request.body(Full::default()).unwrap()).await
    };
    get(&[format!("bearer {token}")]).await.ok();
    get(&[format!("Basic {token}")]).await.problem(401, "invalid_token");
    get(std::slice::from_ref(&token)).await.problem(401, "invalid_token");
    get(&[format!("Bearer {token}"), format!("Bearer {token}")]).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn a_list_of_keys_rotates_the_first_signs_and_all_verify() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let old = michel.session().await;
    let (first, both) =
        ("bmV3IHNpZ25pbmcga2V5IG9mIGFjY2VwdGFuY2UhISE=", "c2lnbmluZyBrZXkgb2YgYWNjZXB0YW5jZSB0ZXN0cyE=");
    let app = app.restart_with(Settings::variable("jwt_secret", &format!("{first},{both}"))).await;
    app.session(&old).await.ok();
    let new = app.request_as(&old, Method::POST, PATH).await.ok().0["token"].as_str().unwrap().to_owned();
    let app = app.restart_with(Settings::variable("jwt_secret", first)).await;
    app.session(&new).await.ok();
    app.session(&old).await.problem(401, "invalid_token");
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let app = TestApp::start().await;
    let answer = app.request(Method::PUT, PATH).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, POST, DELETE");
}

#[tokio::test]
async fn a_token_that_no_key_signed_never_reaches_the_database() {
    let (app, wire) = TestApp::start_on_a_wire().await;
    app.session("nonsense").await.problem(401, "invalid_token");
    assert!(wire.take_statements().is_empty());
}

/// A restore takes back what a sequence and an epoch had counted: another person's new account can have the number of an old session.
#[tokio::test]
async fn a_number_that_is_used_again_opens_nothing() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let token = michel.session().await;
    let challenge = michel.challenge().await;
    let id = app.database.count("SELECT id::bigint FROM users_v2").await;
    let other = format!("DELETE FROM users_v2; SELECT setval('users_v2_id_seq', {id}, FALSE)");
    app.database.client.batch_execute(&other).await.unwrap();
    app.clock.advance(30);
    let mut somebody = app.active_account("michel.ranu").await;
    assert_eq!(app.database.count("SELECT id::bigint FROM users_v2").await, id);
    app.database.client.batch_execute("UPDATE users_v2 SET session_epoch = 1, login_counter = 1").await.unwrap();
    for method in [Method::GET, Method::POST, Method::DELETE] {
        app.request_as(&token, method, PATH).await.problem(401, "invalid_token");
    }
    let renewal = json!({ "username": "michel.ranu" });
    app.call_as(&token, "generate-password-v2", renewal).await.problem(403, "proof_required");
    app.clock.advance(30);
    let code = somebody.fresh_code();
    app.complete_login("michel.ranu", &code, &challenge).await.problem(401, "invalid_credentials");
    app.clock.advance(30);
    somebody.log_in().await.ok();
}

#[tokio::test]
async fn a_restored_database_ends_every_session() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let token = michel.session().await;
    app.session(&token).await.ok();
    app.database.client.batch_execute("UPDATE installation SET identity = repeat('ab', 16)").await.unwrap();
    app.session(&token).await.problem(401, "invalid_token");
    app.clock.advance(30);
    michel.session().await;
}

/// A row of another program has no identity until somebody shows its password: nothing is taken for none.
#[tokio::test]
async fn an_account_without_an_identity_has_no_token() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let token = michel.session().await;
    app.database.client.batch_execute("UPDATE users_v2 SET identity = NULL").await.unwrap();
    app.session(&token).await.problem(401, "invalid_token");
    let id = app.database.count("SELECT id::bigint FROM users_v2").await;
    let ticket = LoginTokenClaims {
        user_id: id,
        expires_at: app.clock.now() + 60,
        login_counter: app.database.count("SELECT login_counter FROM users_v2").await,
        security_counter: app.database.count("SELECT security_counter FROM users_v2").await,
        credential_versions: [0, 0],
        identity: [0; 32],
    };
    let renewal = app.token_keys().sign_login_token(TokenPurpose::Renewal, &ticket);
    let body = json!({ "username": "michel.ranu", "renewal_token": renewal });
    app.call("generate-password-v2", body).await.problem(403, "proof_required");
    app.clock.advance(30);
    let again = michel.session().await;
    app.session(&again).await.ok();
}

#[tokio::test]
async fn ending_this_session_ends_all_its_tokens_and_no_other_session() {
    let app = TestApp::start().await;
    let mut michel = app.active_account("michel.ranu").await;
    let (one, two) = (michel.session().await, michel.session().await);
    let renewed = app.request_as(&one, Method::POST, PATH).await.ok().0["token"].as_str().unwrap().to_owned();
    assert_eq!(claims(&one)["sid"], claims(&renewed)["sid"]);
    assert_ne!(claims(&one)["sid"], claims(&two)["sid"]);
    for path in ["?this=0", "?this", "?this=1&this=1"] {
        app.request_as(&one, Method::DELETE, &format!("{PATH}{path}")).await.problem(400, "invalid_field");
    }
    let answer = app.request_as(&one, Method::DELETE, &format!("{PATH}?this=1")).await.ok().0;
    assert_eq!(answer["message"], "Cette session est terminée");
    for token in [&one, &renewed] {
        for (method, path) in [
            (Method::GET, PATH),
            (Method::POST, PATH),
            (Method::DELETE, PATH),
            (Method::GET, "/function/activity"),
            (Method::GET, "/function/sessions"),
            (Method::DELETE, "/function/second-factor"),
        ] {
            app.request_as(token, method, path).await.problem(401, "invalid_token");
        }
        for function in ["generate-password-v2", "generate-2fa-v2"] {
            let body = json!({ "username": "michel.ranu" });
            app.call_as(token, function, body).await.problem(403, "proof_required");
        }
    }
    app.session(&two).await.ok();
}

#[tokio::test]
async fn renewing_and_ending_a_session_at_once_leaves_none_alive() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.active_account("michel.ranu").await;
    for _ in 0..20 {
        let token = michel.session().await;
        let renew = app.request_as(&token, Method::POST, PATH);
        let path = format!("{PATH}?this=1");
        let (renewed, ended) = tokio::join!(renew, app.request_as(&token, Method::DELETE, &path));
        ended.ok();
        let renewed = if renewed.status == 200 { renewed.ok().0["token"].as_str().unwrap().to_owned() } else { token };
        app.session(&renewed).await.problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn an_ended_session_is_kept_until_its_last_token_would_have_ended() {
    let app = TestApp::start_with(Settings::without_limits()).await;
    let mut michel = app.active_account("michel.ranu").await;
    for _ in 0..6 {
        let token = michel.session().await;
        app.request_as(&token, Method::DELETE, &format!("{PATH}?this=1")).await.ok();
    }
    let kept = "SELECT count(*) FROM ended_sessions";
    assert_eq!(app.database.count(kept).await, 6);
    app.clock.advance(36 * 3600 + 31);
    let token = michel.session().await;
    app.request_as(&token, Method::DELETE, &format!("{PATH}?this=1")).await.ok();
    assert_eq!(app.database.count(kept).await, 3);
}
