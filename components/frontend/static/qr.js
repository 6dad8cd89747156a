// Reads the QR code that `generate-password-v2` draws, for who cannot scan it.
//
// It is no reader of photographs: it takes the very image that the function draws (a greyscale PNG of 1 bit, lines predicted
// from the line above, 8 pixels a module, a margin of 4) and versions 1 to 3 at level M, which have one block. So nothing is
// searched for and nothing is corrected. Anything else is an error, and the page then offers the image alone.
// Sections are those of ISO/IEC 18004:2015 and of the PNG specification, third edition.

const MODULE_PIXELS = 8;
const MARGIN = 4;

/** Codewords of data at level M, by version (table 7). */
const DATA_CODEWORDS = { 1: 16, 2: 28, 3: 44 };

/** Section 7.8.2: which modules a mask turns around. */
const MASKS = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

/** Section 7.4.4, table 5. */
const ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/** The text of a QR code; `image` is a PNG in base64. */
export async function readQrCode(image) {
  const modules = await readModules(Uint8Array.from(atob(image), (byte) => byte.charCodeAt(0)));
  const version = (modules.length - 17) / 4;
  if (!DATA_CODEWORDS[version]) throw new Error("a QR code of another version");
  return readText(bits(modules, version).slice(0, DATA_CODEWORDS[version] * 8));
}

/** The modules as rows of booleans, dark is true. */
async function readModules(file) {
  const view = new DataView(file.buffer);
  const width = view.getUint32(16) / MODULE_PIXELS;
  let data;
  for (let at = 8; at < file.length; at += view.getUint32(at) + 12) {
    const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (kind === "IDAT") data = file.subarray(at + 8, at + 8 + view.getUint32(at));
  }
  const inflated = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  const lines = new Uint8Array(await new Response(inflated).arrayBuffer());
  const rows = [];
  let above = new Uint8Array(width);
  // A module is a byte wide: its 8 pixels. Before each line stands its filter, which is 2: the difference from above.
  for (let line = 0; line < width * MODULE_PIXELS; line += 1) {
    const stored = lines.subarray(line * (width + 1), (line + 1) * (width + 1));
    if (stored[0] !== 2) throw new Error("an image of another kind");
    above = above.map((byte, index) => byte + stored[index + 1]);
    if (line % MODULE_PIXELS === 0) rows.push([...above].map((byte) => byte === 0));
  }
  return rows.slice(MARGIN, -MARGIN).map((row) => row.slice(MARGIN, -MARGIN));
}

/** Section 7.7.3: the data's bits, two columns at a time from the right, upwards and downwards in turn. */
function bits(modules, version) {
  const size = modules.length;
  const mask = MASKS[readMask(modules)];
  const read = [];
  let isUpward = true;
  for (let right = size - 1; right > 0; right -= 2) {
    // The vertical timing pattern has a column of its own.
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const row = isUpward ? size - 1 - step : step;
      for (const column of [right, right - 1]) {
        if (!isFunction(row, column, size, version)) read.push(modules[row][column] !== mask(row, column) ? 1 : 0);
      }
    }
    isUpward = !isUpward;
  }
  return read;
}

/** Section 7.9.1: the three bits after the level, beside the upper left finder pattern; level M is 00. */
function readMask(modules) {
  const format = [0, 1, 2, 3, 4].map((column) => (modules[8][column] ? 1 : 0) ^ [1, 0, 1, 0, 1][column]);
  if (format[0] || format[1]) throw new Error("a QR code of another level");
  return format[2] * 4 + format[3] * 2 + format[4];
}

/** Section 6.3: finder patterns with their separators and the format, timing patterns, the one alignment pattern. */
function isFunction(row, column, size, version) {
  const isFinder = (row < 9 && column < 9) || (row < 9 && column >= size - 8) || (row >= size - 8 && column < 9);
  const center = size - 7;
  const isAlignment = version > 1 && Math.abs(row - center) <= 2 && Math.abs(column - center) <= 2;
  return isFinder || row === 6 || column === 6 || isAlignment;
}

/** Section 7.4: segments of digits, of few characters, of bytes. */
function readText(bits) {
  let at = 0;
  const number = (length) => bits.slice(at, (at += length)).reduce((value, bit) => value * 2 + bit, 0);
  let text = "";
  while (at + 4 <= bits.length) {
    const mode = number(4);
    if (mode === 0) break;
    if (mode === 1) {
      for (let left = number(10); left > 0; left -= 3) {
        const digits = Math.min(left, 3);
        text += String(number([4, 7, 10][digits - 1])).padStart(digits, "0");
      }
    } else if (mode === 2) {
      let left = number(9);
      for (; left > 1; left -= 2) {
        const pair = number(11);
        text += ALPHANUMERIC[Math.floor(pair / 45)] + ALPHANUMERIC[pair % 45];
      }
      if (left) text += ALPHANUMERIC[number(6)];
    } else if (mode === 4) {
      for (let left = number(8); left > 0; left -= 1) text += String.fromCharCode(number(8));
    } else {
      throw new Error("a segment of another mode");
    }
  }
  return text;
}
