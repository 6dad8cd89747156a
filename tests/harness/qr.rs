//! Reading QR codes with a decoder that did not draw them.

use std::io::Cursor;

/// The text in a PNG's only QR code.
pub fn read_qr_png(png: &[u8]) -> String {
    let mut reader = png::Decoder::new(Cursor::new(png)).read_info().expect("a PNG");
    let mut lines = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut lines).expect("an image");
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::One));
    let is_light = |x: usize, y: usize| lines[y * info.line_size + x / 8] & (0x80 >> (x % 8)) != 0;
    let luma = |x, y| if is_light(x, y) { 255 } else { 0 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(info.width as usize, info.height as usize, luma);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one QR code");
    grids[0].decode().expect("a readable QR code").1
}
