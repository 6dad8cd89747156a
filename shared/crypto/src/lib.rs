//! The cryptography of COFRAP's accounts: password hashes, encrypted secrets, one-time codes, signed tokens, QR codes.
//!
//! No function reads a clock or draws randomness: both are parameters, so that every function is tested against
//! published vectors. The one exception is [`Keyring::seal`], whose crate draws its own initialisation vector.
//!
//! Without the default `std` feature the crate is `no_std` and offers what needs no standard library: [`Password`],
//! [`PasswordHash`], [`TotpSecret`], [`TotpCode`], [`SharedSecret`], [`digest`] and [`provisioning_uri`].

#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "std")]
mod keyring;
#[cfg(feature = "std")]
mod keys;
mod otpauth;
mod password;
mod password_hash;
#[cfg(feature = "std")]
mod qr;
#[cfg(feature = "std")]
mod sealed;
mod secret;
#[cfg(feature = "std")]
mod tokens;
mod totp;

#[cfg(feature = "std")]
pub use keyring::{Keyring, OpenError, Opened, StoredPassword, Unbound};
#[cfg(feature = "std")]
pub use keys::{KeyId, KeyListError};
pub use otpauth::provisioning_uri;
pub use password::{Password, PasswordTooLong};
pub use password_hash::{HashMatch, InvalidPasswordHash, PasswordHash, Pause, UnhashablePassword};
#[cfg(feature = "std")]
pub use qr::{QrError, draw_qr_png};
#[cfg(feature = "std")]
pub use sealed::{RowMac, SealContext, Sealed, SecretColumn};
#[cfg(feature = "std")]
pub(crate) use secret::hexadecimal;
pub use secret::{DigestKey, SharedSecret, SharedSecretTooShort, digest};
#[cfg(feature = "std")]
pub use tokens::login::{LoginTokenClaims, TokenPurpose};
#[cfg(feature = "std")]
pub use tokens::{AUDIENCE, ISSUER, Identity, InvalidToken, PublicKey, SessionClaims, SessionId, TokenKeys};
pub use totp::{InvalidTotpSecret, MalformedTotpCode, TotpCode, TotpSecret, TotpStep};
