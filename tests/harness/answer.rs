//! What the functions answered.

use crate::qr::read_qr_png;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::Value;

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: String,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Success {
        assert_eq!(self.status, 200, "{}", self.body);
        Success(self.json())
    }

    /// The body of an error of that status and code.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert!(body["error"].is_string(), "{}", self.body);
        body
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// What must be the same for refusals that nobody shall tell apart: everything but the moment.
    pub fn visible(&self) -> (u16, Vec<(String, String)>, String) {
        let text = |value: &http::HeaderValue| value.to_str().expect("ASCII").to_owned();
        let headers = self.headers.iter().filter(|(name, _)| *name != "date");
        (self.status, headers.map(|(name, value)| (name.to_string(), text(value))).collect(), self.body.clone())
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON expected: {}", self.body))
    }
}

/// The body of a success.
#[derive(Debug)]
pub struct Success(pub Value);

impl Success {
    /// What the QR code says.
    #[track_caller]
    pub fn read_qr_code(&self) -> String {
        self.read_image("qr_code")
    }

    /// What the QR code in a field says.
    #[track_caller]
    pub fn read_image(&self, field: &str) -> String {
        let base64 = self.0[field].as_str().expect("a QR code");
        read_qr_png(&STANDARD.decode(base64).expect("base64"))
    }
}
