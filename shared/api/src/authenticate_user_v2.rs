//! `POST /function/authenticate-user-v2`

use crate::field::parse_password;
use crate::session::Lifetime;
use crate::{Field, JsonBody, Problem, Reply, SessionChange};
use cofrap_accounts::{Bearer, LoggedIn, Login, UnixTime, WhichFactor};
use serde::{Deserialize, Serialize};

const MISSING: &str = "username et password sont requis";

/// A login.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "LoginRequest", extend("required" = ["username", "password"])))]
pub struct Request {
    /// The account's name: 1 to 50 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    username: Field,
    /// The password, at most 100 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    password: Field,
    /// The code, six digits.
    #[serde(default, rename = "2FA_code")]
    code: Field,
}

impl JsonBody for Request {
    type Command = Login;
    type Response = Response;

    fn into_command(self, _: Bearer) -> Result<Login, Problem> {
        let username = self.username.required_username(MISSING)?;
        let password = parse_password(self.password.required_text("password", MISSING)?)?;
        Ok(Login { username, password, code: self.code.code("2FA_code")? })
    }
}

/// A complete login.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "LoggedIn"))]
pub struct Response {
    success: bool,
    username: String,
    message: &'static str,
    user_id: i64,
    /// The session; not under the legacy policy.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(with = "Option<crate::session::Token>"))]
    session: Option<Lifetime>,
    #[serde(flatten)]
    factors: Factors,
}

/// The second factor of a login, and whether another one waits.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Factors {
    /// `current` or `new`: the second factor of the code; `new` is in force from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_factor: Option<&'static str>,
    /// Until when a new second factor waits for its first code, in seconds since the Unix epoch; absent when none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_second_factor_until: Option<i64>,
}

impl Factors {
    pub(crate) fn of(login: &LoggedIn) -> Self {
        Self {
            second_factor: login.second_factor.map(|factor| match factor {
                WhichFactor::Current => "current",
                WhichFactor::New => "new",
            }),
            pending_second_factor_until: login.pending_until.map(UnixTime::seconds),
        }
    }
}

impl From<LoggedIn> for Reply<Response> {
    fn from(login: LoggedIn) -> Self {
        let factors = Factors::of(&login);
        let (session, lifetime) = SessionChange::issue(login.session);
        let body = Response {
            success: true,
            factors,
            username: login.username,
            message: "Authentification réussie",
            user_id: login.account.0,
            session: lifetime,
        };
        Self { body, session }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Code, Endpoint};
    use proptest::prelude::*;

    fn read(body: &[u8]) -> Result<Login, Problem> {
        Request::read(Call { method: "POST", query: "", bearer: Bearer::default(), body })
    }

    fn refused(body: &str) -> Option<Code> {
        read(body.as_bytes()).err().map(|problem| problem.code())
    }

    #[test]
    fn only_one_object_with_known_fields_once_is_a_request() {
        assert_eq!(refused(r#" {"username":"m","password":"p","2FA_code":"123456","more":[{}]} "#), None);
        assert_eq!(refused(r#"{"username":"m","password":"p"}"#), None);
        for body in [
            "",
            "null",
            "[]",
            r#"["m","p",null]"#,
            r#""text""#,
            "{",
            "{}{}",
            r#"{"username":"m","username":"m","password":"p"}"#,
            r#"{"username":"\ud800","password":"p"}"#,
            "\u{feff}{}",
        ] {
            assert_eq!(refused(body), Some(Code::InvalidJson), "{body}");
        }
        assert_eq!(refused(&format!(r#"{{"x":{}}}"#, "[".repeat(8000))), Some(Code::InvalidJson));
    }

    #[test]
    fn an_absent_field_is_missing_and_a_field_of_another_type_invalid() {
        for body in
            ["{}", r#"{"username":"m"}"#, r#"{"username":null,"password":"p"}"#, r#"{"username":"m","password":""}"#]
        {
            assert_eq!(refused(body), Some(Code::MissingField), "{body}");
        }
        for body in [
            r#"{"username":1,"password":"p"}"#,
            r#"{"username":"m","password":["p"]}"#,
            r#"{"username":"m","password":"p","2FA_code":123456}"#,
            r#"{"username":" m","password":"p"}"#,
        ] {
            assert_eq!(refused(body), Some(Code::InvalidField), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body: Vec<u8>, text: String) {
            let _ = read(&body);
            let _ = read(format!(r#"{{"username":{text:?},"2FA_code":{text:?}}}"#).as_bytes());
        }
    }
}
