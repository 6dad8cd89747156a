//! `POST /function/authenticate-user-v2`

use crate::{Endpoint, Field, Problem};
use cofrap_accounts::{LoggedIn, Login, SubmittedCode};
use cofrap_crypto::{Password, TotpCode};
use serde::{Deserialize, Serialize};

const MISSING: &str = "username et password sont requis";

/// `{username, password, "2FA_code"}`
#[derive(Debug, Deserialize)]
pub struct Request {
    #[serde(default)]
    username: Field,
    #[serde(default)]
    password: Field,
    #[serde(default, rename = "2FA_code")]
    code: Field,
}

impl Endpoint for Request {
    type Command = Login;
    type Response = Response;

    /// A missing or malformed code is no ill-formed request: it is refused like a wrong one, after the password.
    fn into_command(self) -> Result<Login, Problem> {
        let username = self.username.required_username(MISSING)?;
        let password = Password::submitted(self.password.required_text("password", MISSING)?)
            .map_err(|_| Problem::invalid_field("password", "100 caractères au plus"))?;
        let code = match self.code.optional_text("2FA_code")?.filter(|text| !text.is_empty()) {
            None => SubmittedCode::Missing,
            Some(text) => TotpCode::parse(&text).map_or(SubmittedCode::Malformed, SubmittedCode::Digits),
        };
        Ok(Login { username, password, code })
    }
}

/// Who logged in.
#[derive(Debug, Serialize)]
pub struct Response {
    success: bool,
    username: String,
    message: &'static str,
    user_id: i64,
}

impl From<LoggedIn> for Response {
    fn from(login: LoggedIn) -> Self {
        Self {
            success: true,
            username: login.username.to_string(),
            message: "Authentification réussie",
            user_id: login.account.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, parse_body};
    use proptest::prelude::*;

    fn refused(body: &str) -> Option<Code> {
        parse_body::<Request>(body.as_bytes()).err().map(|problem| problem.code())
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
            let _ = parse_body::<Request>(&body);
            let _ = parse_body::<Request>(format!(r#"{{"username":{text:?},"2FA_code":{text:?}}}"#).as_bytes());
        }
    }
}
