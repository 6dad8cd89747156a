//! Session tokens, which other services verify with the public keys. The short-lived tokens of a login are in [`login`].
//!
//! A session token is a JSON Web Token (RFC 7519) signed with Ed25519 (RFC 8037). The token does not choose the algorithm: its first part
//! must be, byte for byte, the header that one of these keys writes.

use crate::DigestKey;
use crate::keys::{KeyId, KeyListError, SecretKey, read_list};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::str::FromStr;
use std::sync::OnceLock;

pub(crate) mod login;

/// `iss`: who signs.
pub const ISSUER: &str = "cofrap-auth";

/// `aud`: whom sessions are for.
pub const AUDIENCE: &str = "cofrap";

/// The keys that sign and verify tokens. The first key signs; every key verifies.
pub struct TokenKeys(Vec<TokenKey>);

struct TokenKey {
    id: KeyId,
    key: SecretKey,
    /// Derived when a session is first signed or verified: few requests need it.
    session: OnceLock<SessionKey>,
}

struct SessionKey {
    signing: SigningKey,
    /// The key's name in headers and in the key set.
    kid: String,
    /// The first part of every session that it signs.
    header: String,
}

/// The claims of a session token. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClaims {
    /// `sub`: the account's number.
    pub user_id: i64,
    /// `iat` and `nbf`: when this token was issued.
    pub issued_at: i64,
    /// `exp`: when it ends.
    pub expires_at: i64,
    /// `auth_time`: when the login was.
    pub authenticated_at: i64,
    /// The account's session epoch at the login. When the account's epoch rises, the session ends.
    pub epoch: i64,
    /// `acct`: the identity of the account and of its database.
    pub identity: Identity,
    /// `sid`: 16 random bytes, drawn at the login and kept at every renewal.
    pub session_id: SessionId,
    /// `jti`: 16 random bytes.
    pub token_id: [u8; 16],
}

/// The identifier of one session: 16 random bytes.
pub type SessionId = [u8; 16];

/// 16 random bytes of the account and 16 of its database. They tell the account from an earlier one with the same number, and the database
/// from a restored copy.
pub type Identity = [u8; 32];

/// A public key as the key set shows it. RFC 8037, section 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name.
    pub kid: String,
    /// The key, base64url.
    pub x: String,
}

/// The token was not signed by these keys, or for another purpose.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token was not signed by these keys, or for another purpose")]
pub struct InvalidToken;

impl TokenKeys {
    /// Signs a session token.
    #[must_use]
    pub fn sign_session(&self, claims: &SessionClaims) -> String {
        let key = self.0[0].session();
        let signed = format!("{}.{}", key.header, URL_SAFE_NO_PAD.encode(claims.to_json()));
        format!("{signed}.{}", key.sign(&signed))
    }

    /// Checks the signature, the issuer and the audience. The caller compares the times with the clock.
    ///
    /// # Errors
    /// [`InvalidToken`] when none of these keys signed it as a session for this audience.
    pub fn verify_session(&self, token: &str) -> Result<SessionClaims, InvalidToken> {
        self.read_session(token).ok_or(InvalidToken)
    }

    fn read_session(&self, token: &str) -> Option<SessionClaims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let key = self.0.iter().map(TokenKey::session).find(|key| key.header == header)?;
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        key.public().verify_strict(signed.as_bytes(), &signature).ok()?;
        SessionClaims::from_json(&URL_SAFE_NO_PAD.decode(claims).ok()?)
    }

    /// The public keys, the one that signs first.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        let public =
            |key: &SessionKey| PublicKey { kid: key.kid.clone(), x: URL_SAFE_NO_PAD.encode(key.public().as_bytes()) };
        self.0.iter().map(TokenKey::session).map(public).collect()
    }

    /// The key for digests of names and addresses, for components without another key.
    #[must_use]
    pub fn digest_key(&self) -> DigestKey {
        DigestKey::new(vec![self.0[0].key.derive("cofrap subjects v1")])
    }

    pub(crate) fn has(&self, id: &KeyId) -> bool {
        self.0.iter().any(|key| key.id == *id)
    }
}

/// The claims as they are written. RFC 7519, section 4.1; `auth_time` is `OpenID` Connect's.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimsJson<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    auth_time: i64,
    epoch: i64,
    acct: String,
    sid: String,
}

impl SessionClaims {
    fn to_json(&self) -> String {
        let claims = ClaimsJson {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: self.user_id.to_string(),
            iat: self.issued_at,
            nbf: self.issued_at,
            exp: self.expires_at,
            jti: URL_SAFE_NO_PAD.encode(self.token_id),
            auth_time: self.authenticated_at,
            epoch: self.epoch,
            acct: URL_SAFE_NO_PAD.encode(self.identity),
            sid: URL_SAFE_NO_PAD.encode(self.session_id),
        };
        serde_json::to_string(&claims).expect("texts and numbers are JSON")
    }

    fn from_json(json: &[u8]) -> Option<Self> {
        let claims: ClaimsJson<'_> = serde_json::from_slice(json).ok()?;
        let is_ours = claims.iss == ISSUER && claims.aud == AUDIENCE && claims.nbf == claims.iat;
        is_ours.then_some(())?;
        Some(Self {
            user_id: claims.sub.parse().ok()?,
            issued_at: claims.iat,
            expires_at: claims.exp,
            authenticated_at: claims.auth_time,
            epoch: claims.epoch,
            identity: URL_SAFE_NO_PAD.decode(&claims.acct).ok()?.try_into().ok()?,
            session_id: URL_SAFE_NO_PAD.decode(&claims.sid).ok()?.try_into().ok()?,
            token_id: URL_SAFE_NO_PAD.decode(&claims.jti).ok()?.try_into().ok()?,
        })
    }
}

impl TokenKey {
    fn new(key: SecretKey) -> Self {
        Self { id: key.id(), key, session: OnceLock::new() }
    }

    fn session(&self) -> &SessionKey {
        self.session.get_or_init(|| {
            let signing = SigningKey::from_bytes(&self.key.derive("cofrap session Ed25519 v1"));
            let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(signing.verifying_key().as_bytes())[..12]);
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#));
            SessionKey { signing, kid, header }
        })
    }
}

impl SessionKey {
    /// RFC 8032: signatures are deterministic.
    fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.signing.sign(text.as_bytes()).to_bytes())
    }

    fn public(&self) -> VerifyingKey {
        self.signing.verifying_key()
    }
}

impl FromStr for TokenKeys {
    type Err = KeyListError;

    /// Reads a list of keys under the same rules as a [`crate::Keyring`]'s.
    fn from_str(list: &str) -> Result<Self, KeyListError> {
        Ok(Self(read_list(list)?.into_iter().map(TokenKey::new).collect()))
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKeys({} keys, redacted)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
