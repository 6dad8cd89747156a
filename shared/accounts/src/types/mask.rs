//! Digests that the audit keeps in place of names. A name that no account has may be a password that was typed into the wrong field.

use crate::types::chosen_password::is_password_like;
use cofrap_crypto::DigestKey;

/// The prefix of a digest that replaces a name.
const MASK: &str = "digest:";

/// The digest that replaces a name.
pub(crate) fn mask(name: &str, key: &DigestKey) -> String {
    format!("{MASK}{}", key.digest(&["log", name]))
}

/// Whether a name is such a digest already: 43 characters of base64url after the prefix.
pub(crate) fn is_mask(name: &str) -> bool {
    let digest = name.strip_prefix(MASK).unwrap_or_default();
    digest.len() == 43 && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The digest that the audit keeps instead of a name that would be a strong password.
pub(crate) fn mask_password_like(name: &str, key: &DigestKey) -> Option<String> {
    is_password_like(name).then(|| mask(name, key))
}
