/**
 * A PNG decoder. Browsers decode PNG too, but they apply colour profiles, round transparent pixels and drop the lower
 * half of 16-bit values; edgekit's decoder does none of this.
 */
import { PageError } from "./errors.js";
import { rangeTable } from "./pixel_range.js";
import { orientationOf, upright } from "./orientation.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const [GREY, COLOUR, PALETTE, GREY_ALPHA] = [0, 2, 3, 4];
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

export const isPng = (bytes) => SIGNATURE.every((value, place) => bytes[place] === value);

/** An upright RGB image. `range`: how values of more than 8 bits become 0 to 255. */
export async function decodePng(bytes, range) {
  const { header, palette, transparent, exif, packed } = chunksOf(bytes);
  const samples = unpacked(await inflated(packed), header);
  return upright(asRgb(samples, header, palette, transparent, range), orientationOf(exif));
}

function chunksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = { header: null, palette: null, transparent: null, exif: null, packed: [] };
  for (let place = 8; place + 8 <= bytes.length;) {
    const length = view.getUint32(place);
    const type = String.fromCharCode(...bytes.subarray(place + 4, place + 8));
    const start = place + 8;
    if (start + length > bytes.length) break;
    const content = bytes.subarray(start, start + length);
    if (type === "IHDR") found.header = headerOf(view, start);
    else if (type === "PLTE") found.palette = content;
    else if (type === "tRNS") found.transparent = content;
    else if (type === "eXIf") found.exif = content;
    else if (type === "IDAT") found.packed.push(content);
    else if (type === "IEND") break;
    place = start + length + 4;
  }
  if (!found.header || !found.packed.length) throw new PageError("damaged or truncated PNG image");
  return found;
}

function headerOf(view, start) {
  const header = {
    width: view.getUint32(start),
    height: view.getUint32(start + 4),
    bits: view.getUint8(start + 8),
    type: view.getUint8(start + 9),
    interlaced: view.getUint8(start + 12) === 1,
  };
  if (!(header.type in CHANNELS) || !header.width || !header.height) throw new PageError("damaged PNG image");
  return header;
}

async function inflated(parts) {
  try {
    const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new PageError("damaged or truncated PNG image");
  }
}

/** The samples of all channels, (height, width, channels), in the bits of the file. */
function unpacked(raw, { width, height, bits, type, interlaced }) {
  const channels = CHANNELS[type];
  const found = bits === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  let place = 0;
  for (const [left, top, right, down] of interlaced ? ADAM7 : [[0, 0, 1, 1]]) {
    const columns = Math.ceil((width - left) / right);
    const rows = Math.ceil((height - top) / down);
    if (columns <= 0 || rows <= 0) continue;
    const stride = Math.ceil((columns * channels * bits) / 8);
    if (place + rows * (stride + 1) > raw.length) throw new PageError("truncated: the file ends before its image does");
    let before = new Uint8Array(stride);
    for (let y = 0; y < rows; y++) {
      const line = raw.subarray(place + 1, place + 1 + stride);
      unfilter(raw[place], line, before, Math.max(1, (channels * bits) >> 3));
      copyLine(line, bits, columns * channels, channels, found, ((top + y * down) * width + left) * channels, right);
      before = line;
      place += stride + 1;
    }
  }
  return found;
}

function unfilter(filter, line, before, distance) {
  for (let x = 0; x < line.length; x++) {
    const left = x >= distance ? line[x - distance] : 0;
    const up = before[x];
    if (filter === 1) line[x] += left;
    else if (filter === 2) line[x] += up;
    else if (filter === 3) line[x] += (left + up) >> 1;
    else if (filter === 4) line[x] += paeth(left, up, x >= distance ? before[x - distance] : 0);
  }
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function copyLine(line, bits, count, channels, found, start, step) {
  for (let i = 0; i < count; i++) {
    const to = start + Math.floor(i / channels) * step * channels + (i % channels);
    if (bits === 8) found[to] = line[i];
    else if (bits === 16) found[to] = (line[2 * i] << 8) | line[2 * i + 1];
    else found[to] = (line[(i * bits) >> 3] >> (8 - bits - ((i * bits) & 7))) & ((1 << bits) - 1);
  }
}

function asRgb(samples, header, palette, transparent, range) {
  const { width, height, bits, type } = header;
  const count = width * height;
  const data = new Uint8Array(3 * count);
  if (type === GREY && bits === 16) {
    const grey = deepGrey(samples, range);
    for (let i = 0; i < count; i++) data.fill(grey[i], 3 * i, 3 * i + 3);
    return { width, height, channels: 3, data };
  }
  const pixel = reader(samples, header, palette, transparent);
  for (let i = 0; i < count; i++) {
    const [red, green, blue, alpha] = pixel(i);
    data[3 * i] = onWhite(red, alpha);
    data[3 * i + 1] = onWhite(green, alpha);
    data[3 * i + 2] = onWhite(blue, alpha);
  }
  if (bits === 16) inRange(data, range);
  return { width, height, channels: 3, data };
}

/** A function from the number of a pixel to its red, green, blue and alpha with 8 bits each. */
function reader(samples, { bits, type }, palette, transparent) {
  const colour = [0, 0, 0, 255];
  const set = (red, green, blue, alpha) => {
    [colour[0], colour[1], colour[2], colour[3]] = [red, green, blue, alpha];
    return colour;
  };
  const shift = bits === 16 ? 8 : 0;
  if (type === PALETTE) {
    const alpha = transparent ?? [];
    return (i) => {
      const entry = samples[i];
      const from = 3 * entry;
      return set(palette[from] ?? 0, palette[from + 1] ?? 0, palette[from + 2] ?? 0, alpha[entry] ?? 255);
    };
  }
  const value = (place) => samples[place] >> shift;
  const key =
    transparent &&
    Array.from({ length: transparent.length >> 1 }, (_, i) => 256 * transparent[2 * i] + transparent[2 * i + 1]);
  if (type === GREY) {
    const factor = 255 / ((1 << bits) - 1);
    return (i) => {
      const grey = samples[i] * factor;
      return set(grey, grey, grey, key && grey === key[0] ? 0 : 255);
    };
  }
  if (type === GREY_ALPHA) return (i) => set(value(2 * i), value(2 * i), value(2 * i), value(2 * i + 1));
  if (type === COLOUR) {
    return (i) => {
      const [red, green, blue] = [value(3 * i), value(3 * i + 1), value(3 * i + 2)];
      const clear = key && red === key[0] && green === key[1] && blue === key[2];
      return set(red, green, blue, clear ? 0 : 255);
    };
  }
  return (i) => set(value(4 * i), value(4 * i + 1), value(4 * i + 2), value(4 * i + 3));
}

/** `value` blended with white, rounded as Pillow's alpha_composite does. */
export function onWhite(value, alpha) {
  if (alpha === 255) return value;
  const sum = 128 * (value * alpha + 255 * (255 - alpha) + 128);
  return (((sum >> 8) + sum) >> 8) >> 7;
}

function deepGrey(samples, range) {
  const counts = new Float64Array(65536);
  if (range === "percentile") for (const value of samples) counts[value]++;
  const table = rangeTable(counts, range, 1);
  return Uint8Array.from(samples, (value) => table[value]);
}

/** Scale the upper 8 bits of 16-bit colours by `range`, in place. */
function inRange(data, range) {
  const counts = new Float64Array(256);
  for (let i = 0; i < data.length; i++) counts[data[i]]++;
  const table = rangeTable(counts, range, 257);
  for (let i = 0; i < data.length; i++) data[i] = table[data[i]];
}
