//! Decisions without side effects: whether credentials and tokens are right, and what they permit. Imports `types` and `limits`.

pub(crate) mod authorizer;
pub(crate) mod credentials;
pub(crate) mod grant;
pub(crate) mod login_token;
pub(crate) mod operator;
pub(crate) mod proven;
pub(crate) mod refusal;
pub(crate) mod session_token;
