//! QR codes as PNG images.
//!
//! The image is always the same kind: 1 bit a pixel, grey.

use png::{BitDepth, ColorType, Compression, Encoder, Filter};
use qrcode::bits::encode_auto;
use qrcode::canvas::{Canvas, MaskPattern};
use qrcode::ec::construct_codewords;
use qrcode::types::{Color, EcLevel, QrError as Misfit};

/// Light modules around the code. ISO/IEC 18004, section 6.3.8.
const QUIET_ZONE_MODULES: usize = 4;

/// Pixels along a module's side. One byte of a 1-bit image is eight pixels: a module is a byte.
const MODULE_PIXELS: usize = 8;

/// Section 7.8.3 has an encoder draw all eight masks and keep the one that looks best, which costs fifty times what the code itself does.
/// Every reader undoes any of them, and what is drawn here is as good as random.
const MASK: MaskPattern = MaskPattern::Checkerboard;

const DARK: u8 = 0x00;
const LIGHT: u8 = 0xFF;

/// The text is longer than the 2,331 bytes that the largest code holds at error correction level M.
#[derive(Debug, thiserror::Error)]
#[error("the text does not fit a QR code")]
pub struct QrError(#[from] Misfit);

/// Draws a text as a black and white PNG: error correction level M, quiet zone of 4 modules, 8 pixels a module.
///
/// # Errors
/// [`QrError`] for a text that the largest code does not hold.
///
/// # Panics
/// Never: the image is written to memory, and its lines are as long as its header says.
pub fn draw_qr_png(text: &str) -> Result<Vec<u8>, QrError> {
    let (code, width) = draw_modules(text)?;
    let modules = width + 2 * QUIET_ZONE_MODULES;
    // The largest code has 177 modules a side.
    let side = u32::try_from(modules * MODULE_PIXELS).unwrap_or(u32::MAX);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, side, side);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    encoder.set_compression(Compression::Fast);
    // Seven lines of eight are the one above. The web interface reads no other filter.
    encoder.set_filter(Filter::Up);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels(&code, width, modules)));
    written.expect("there is room in memory, and the lines are as long as the header says");
    Ok(file)
}

/// The modules line by line, and how many a line has.
fn draw_modules(text: &str) -> Result<(Vec<Color>, usize), QrError> {
    let bits = encode_auto(text.as_bytes(), EcLevel::M)?;
    let version = bits.version();
    let (data, correction) = construct_codewords(&bits.into_bytes(), version, EcLevel::M)?;
    let mut canvas = Canvas::new(version, EcLevel::M);
    canvas.draw_all_functional_patterns();
    canvas.draw_data(&data, &correction);
    canvas.apply_mask(MASK);
    Ok((canvas.into_colors(), usize::from(version.width().unsigned_abs())))
}

fn pixels(code: &[Color], width: usize, modules: usize) -> Vec<u8> {
    let mut pixels = vec![LIGHT; modules * modules * MODULE_PIXELS];
    for (index, _) in code.iter().enumerate().filter(|(_, color)| **color == Color::Dark) {
        let (row, column) = (index / width + QUIET_ZONE_MODULES, index % width + QUIET_ZONE_MODULES);
        for line in row * MODULE_PIXELS..(row + 1) * MODULE_PIXELS {
            pixels[line * modules + column] = DARK;
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Image {
        side: usize,
        depth: BitDepth,
        lines: Vec<u8>,
    }

    impl Image {
        fn read(png: &[u8]) -> Self {
            let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
            let mut lines = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut lines).unwrap();
            assert_eq!((info.width, info.color_type), (info.height, ColorType::Grayscale));
            Self { side: info.width as usize, depth: info.bit_depth, lines }
        }

        fn is_dark(&self, x: usize, y: usize) -> bool {
            self.lines[y * self.side / 8 + x / 8] & (0x80 >> (x % 8)) == 0
        }

        fn decode(&self) -> String {
            let luma = |x, y| if self.is_dark(x, y) { 0 } else { 255 };
            let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(self.side, self.side, luma);
            let grids = prepared.detect_grids();
            assert_eq!(grids.len(), 1);
            let (meta, text) = grids[0].decode().unwrap();
            assert_eq!(meta.ecc_level, 0, "level M is 0 in the format bits");
            text
        }
    }

    #[test]
    fn the_image_is_1_bit_with_a_quiet_zone_of_4_modules_of_8_pixels() {
        let image = Image::read(&draw_qr_png("hello").unwrap());
        assert_eq!((image.depth, image.side), (BitDepth::One, (21 + 8) * 8));
        for y in 0..image.side {
            for x in 0..image.side {
                let inside = (32..image.side - 32).contains(&x) && (32..image.side - 32).contains(&y);
                assert!(inside || !image.is_dark(x, y), "({x}, {y}) is dark");
            }
        }
        assert!((32..40).all(|x| image.is_dark(x, 32)), "the corner of the finder pattern");
    }

    #[test]
    fn the_longest_provisioning_uri_is_drawn() {
        let secret = crate::TotpSecret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let uri = crate::provisioning_uri(&"🔐".repeat(64), &"🔐".repeat(50), &secret);
        assert_eq!(Image::read(&draw_qr_png(&uri).unwrap()).decode(), *uri);
    }

    #[test]
    fn a_text_that_does_not_fit_is_an_error() {
        assert!(matches!(draw_qr_png(&"é".repeat(1200)), Err(QrError(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_decoder_that_did_not_draw_the_code_reads_it_back(text in "[!-~]{1,200}") {
            prop_assert_eq!(Image::read(&draw_qr_png(&text).unwrap()).decode(), text);
        }
    }
}
