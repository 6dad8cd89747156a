//! Short-lived tokens between two steps of a login: challenges and renewal tokens. Only these functions read them.

use super::{Identity, InvalidToken, TokenKey, TokenKeys};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What a token permits. Each purpose has its own keys, so that a token of one purpose is never accepted for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPurpose {
    /// The password was right; the code is still missing.
    Challenge,
    /// Password and code were right but too old; they may be replaced.
    Renewal,
}

/// The claims of a challenge or a renewal token. The token is invalid as soon as one of them differs from the account's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginTokenClaims {
    /// The account's number.
    pub user_id: i64,
    /// Seconds since the Unix epoch.
    pub expires_at: i64,
    /// The account's login counter.
    pub login_counter: i64,
    /// The account's security counter.
    pub security_counter: i64,
    /// The versions of the account's password and second factor; zero where the purpose ignores them.
    pub credential_versions: [i64; 2],
    /// The identity of the account and of its database.
    pub identity: Identity,
}

impl TokenKeys {
    /// Signs a challenge or a renewal token.
    #[must_use]
    pub fn sign_login_token(&self, purpose: TokenPurpose, claims: &LoginTokenClaims) -> String {
        let mut bytes = claims.to_bytes();
        let mac = self.0[0].login_token_mac(purpose, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Checks the signature and the purpose. The caller compares the claims with the account and the clock.
    ///
    /// # Errors
    /// [`InvalidToken`] when none of these keys signed it for this purpose.
    pub fn verify_login_token(&self, purpose: TokenPurpose, token: &str) -> Result<LoginTokenClaims, InvalidToken> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidToken)?;
        let (claims, mac) = bytes.split_at_checked(LoginTokenClaims::BYTES).ok_or(InvalidToken)?;
        if !self.0.iter().any(|key| key.login_token_mac(purpose, claims).verify_slice(mac).is_ok()) {
            return Err(InvalidToken);
        }
        Ok(LoginTokenClaims::from_bytes(claims))
    }
}

impl TokenKey {
    fn login_token_mac(&self, purpose: TokenPurpose, claims: &[u8]) -> Hmac<Sha256> {
        let key = self.key.derive(match purpose {
            TokenPurpose::Challenge => "cofrap challenge v1",
            TokenPurpose::Renewal => "cofrap renewal v1",
        });
        let mut mac = Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes keys of any length");
        mac.update(claims);
        mac
    }
}

impl LoginTokenClaims {
    const NUMBERS: usize = 6 * size_of::<i64>();
    const BYTES: usize = Self::NUMBERS + size_of::<Identity>();

    fn to_bytes(self) -> Vec<u8> {
        let [password, second_factor] = self.credential_versions;
        [self.user_id, self.expires_at, self.login_counter, self.security_counter, password, second_factor]
            .into_iter()
            .flat_map(i64::to_be_bytes)
            .chain(self.identity)
            .collect()
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let (numbers, identity) = bytes.split_at_checked(Self::NUMBERS).unwrap_or_default();
        let (numbers, _) = numbers.as_chunks();
        let number = |index: usize| numbers.get(index).copied().map_or(0, i64::from_be_bytes);
        Self {
            user_id: number(0),
            expires_at: number(1),
            login_counter: number(2),
            security_counter: number(3),
            credential_versions: [number(4), number(5)],
            identity: identity.try_into().unwrap_or_default(),
        }
    }
}
