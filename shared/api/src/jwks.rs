//! `GET /.well-known/jwks.json`: the public keys of sessions, as a JSON Web Key Set (RFC 7517).

use cofrap_crypto::PublicKey;
use serde::Serialize;

/// The key set; the first key signs.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "KeySet", deny_unknown_fields))]
pub struct Response {
    /// Each with `kty`, `crv`, `use`, `alg`, `kid` and `x`.
    keys: Vec<Key>,
}

/// An Ed25519 public key. RFC 8037, section 2.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(deny_unknown_fields))]
struct Key {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
}

impl From<Vec<PublicKey>> for Response {
    fn from(keys: Vec<PublicKey>) -> Self {
        let key = |PublicKey { kid, x }| Key { kty: "OKP", crv: "Ed25519", usage: "sig", alg: "EdDSA", kid, x };
        Self { keys: keys.into_iter().map(key).collect() }
    }
}
