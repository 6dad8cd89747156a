//! Somebody with an account and an authenticator app.

use crate::answer::Answer;
use crate::app::{CHOSEN_PASSWORD, TestApp};
use crate::clock::STEP;
use serde_json::{Value, json};
use std::time::Duration;
use totp_rs::{Builder, Secret, Totp};

/// Somebody who knows their password and has the authenticator at hand.
pub struct Person<'a> {
    app: &'a TestApp,
    /// Their account's name.
    pub username: String,
    /// Their password.
    pub password: String,
    authenticator: Totp,
    /// The last step whose code they sent.
    used: i64,
}

impl<'a> Person<'a> {
    /// Scans the provisioning QR code with a new authenticator.
    pub fn new(app: &'a TestApp, username: &str, password: String, provisioning_uri: &str) -> Self {
        let authenticator = authenticator(provisioning_uri);
        Self { app, username: username.to_owned(), password, authenticator, used: 0 }
    }

    /// Logs in as people do: with the code that the app shows, and if that was used, with the next one.
    pub async fn log_in(&mut self) -> Answer {
        let code = self.fresh_code();
        self.app.authenticate(&self.username, &self.password, code).await
    }

    /// Takes the first step of a login; the challenge.
    pub async fn challenge(&self) -> String {
        let begun = self.app.begin_login(&self.username, &self.password).await.ok().0;
        begun["challenge"].as_str().expect("a challenge").to_owned()
    }

    /// Logs in by the two steps of API version 1.
    pub async fn log_in_by_steps(&mut self) -> Answer {
        let challenge = self.challenge().await;
        let code = self.fresh_code();
        self.app.complete_login(&self.username, &code, &challenge).await
    }

    /// Logs in; the session's token.
    pub async fn session(&mut self) -> String {
        self.log_in().await.ok().0["token"].as_str().expect("a token").to_owned()
    }

    /// A request body that shows the current password and a fresh code.
    pub fn with_credentials(&mut self) -> Value {
        let code = self.fresh_code();
        json!({ "username": self.username, "password": self.password, "2FA_code": code })
    }

    /// Scans the provisioning QR code of another second factor.
    pub fn scan(&mut self, provisioning_uri: &str) {
        self.authenticator = authenticator(provisioning_uri);
    }

    /// The same person with another second factor, while this one is still at hand.
    #[must_use]
    pub fn with_second_factor(&self, provisioning_uri: &str) -> Self {
        let mut other = Self::new(self.app, &self.username, self.password.clone(), provisioning_uri);
        other.used = self.used;
        other
    }

    /// A code that was not used yet; the clock moves to its step if it must. Of the machine's clock, the code of the next step is
    /// accepted too, and then it is waited for.
    pub fn fresh_code(&mut self) -> String {
        let clock = &self.app.clock;
        if clock.is_real() {
            self.used = (self.used + 1).max(clock.now() / STEP);
            while self.used > clock.now() / STEP + 1 {
                std::thread::sleep(Duration::from_millis(200));
            }
            return self.code_at(self.used * STEP);
        }
        let step = clock.now() / STEP;
        if step <= self.used {
            clock.advance((self.used + 1) * STEP - clock.now());
        }
        self.used = clock.now() / STEP;
        self.code_at(clock.now())
    }

    /// The code that the app shows at a moment, in seconds since the Unix epoch.
    pub fn code_at(&self, unix_seconds: i64) -> String {
        self.authenticator.generate(unix_seconds.try_into().expect("after 1970")).to_string()
    }
}

impl TestApp {
    /// Somebody who chose a password and enrolled an authenticator with it, and has not logged in yet.
    pub async fn chosen_account(&self, username: &str) -> Person<'_> {
        self.create_account(username, CHOSEN_PASSWORD).await.ok();
        let body = json!({ "username": username, "password": CHOSEN_PASSWORD });
        let answer = self.call("generate-2fa", body).await.ok();
        Person::new(self, username, CHOSEN_PASSWORD.to_owned(), &answer.read_image("qr_base64"))
    }

    /// Somebody with a password and an enrolled authenticator who has not logged in yet.
    pub async fn provisional_account(&self, username: &str) -> Person<'_> {
        let password = self.generate_password(username).await.ok().read_qr_code();
        let uri = self.generate_mfa(username).await.ok().read_qr_code();
        Person::new(self, username, password, &uri)
    }

    /// Somebody who has logged in once.
    pub async fn active_account(&self, username: &str) -> Person<'_> {
        let mut person = self.provisional_account(username).await;
        person.log_in().await.ok();
        person
    }
}

fn authenticator(provisioning_uri: &str) -> Totp {
    let (_, secret) = provisioning_uri.split_once("?secret=").expect("a secret");
    let (secret, _) = secret.split_once('&').expect("an issuer");
    let secret = Secret::try_from_base32(secret).expect("base32");
    Builder::new().with_secret(secret).build().expect("a secret of 160 bits")
}
