//! Reading QR codes with a decoder that did not draw them.

use std::io::Cursor;

/// The text in a PNG's only QR code, which is an image of ours.
pub fn read_qr_png(png: &[u8]) -> String {
    find_qr_code(png).expect("one readable QR code")
}

/// The text of the QR code in a picture of the screen, once it is there.
pub(crate) fn find_qr_code(png: &[u8]) -> Option<String> {
    let mut decoder = png::Decoder::new(Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("a PNG");
    let mut lines = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut lines).expect("an image");
    // Of colours the first one will do: what is read is black and white.
    let luma = |x: usize, y: usize| lines[y * info.line_size + x * info.color_type.samples()];
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(info.width as usize, info.height as usize, luma);
    let grids = image.detect_grids();
    let [grid] = grids.as_slice() else { return None };
    grid.decode().ok().map(|(_, text)| text)
}
