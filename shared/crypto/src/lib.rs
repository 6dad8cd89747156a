//! The cryptography of COFRAP's accounts: passwords, hashed and sealed, other sealed secrets, one-time codes, signed tokens, QR codes.
//!
//! Nothing here reads a clock or draws its own randomness: both arrive as parameters, so every function can be tested
//! against published vectors. The one exception is [`Keyring::seal`], whose crate draws its own initialisation vector.
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
mod secret;
#[cfg(feature = "std")]
mod tokens;
mod totp;

#[cfg(feature = "std")]
pub use keyring::{Binding, Keyring, OpenError, Opened, Place, Sealed, Slot, StoredPassword, Unbound};
#[cfg(feature = "std")]
pub use keys::{KeyId, KeyListError};
pub use otpauth::provisioning_uri;
pub use password::{Password, PasswordTooLong};
pub use password_hash::{HashMatch, InvalidPasswordHash, PasswordHash, Pause, UnhashablePassword};
#[cfg(feature = "std")]
pub use qr::{QrError, draw_qr_png};
#[cfg(feature = "std")]
pub(crate) use secret::hexadecimal;
pub use secret::{SharedSecret, SharedSecretTooShort, SubjectKey, digest};
#[cfg(feature = "std")]
pub use tokens::{
    AUDIENCE, ISSUER, Identity, InvalidToken, PublicKey, Purpose, SessionClaims, SessionId, Ticket, TokenKeys,
};
pub use totp::{InvalidTotpSecret, MalformedTotpCode, TotpCode, TotpSecret, TotpStep};
