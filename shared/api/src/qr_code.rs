//! The field `qr_code` of every answer that shows a secret.

use crate::Problem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofrap_crypto::draw_qr_png;

/// A PNG of the text's QR code, in base64.
///
/// # Errors
/// None in practice: passwords, and the URIs of the longest names and issuers, fit a QR code.
pub(crate) fn draw(text: &str) -> Result<String, Problem> {
    Ok(STANDARD.encode(draw_qr_png(text).map_err(Problem::unavailable)?))
}
