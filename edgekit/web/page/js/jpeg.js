/**
 * Large JPEG files. edgekit's decoder (libjpeg) decodes them at 1/2, 1/4 or 1/8 of their size, from the low frequencies
 * of each block of 8 x 8 pixels. A browser returns all pixels; their low frequencies give nearly the same.
 */
import { orientationOf, upright } from "./orientation.js";

const BLOCK = 8;
const APP1 = 0xe1;
const START_OF_SCAN = 0xda;
const UNDONE = { 6: 8, 8: 6 };

export const isJpeg = (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8;

/** An upright image as large as libjpeg decodes it where `enough` pixels a side are wanted. */
export function reduced(image, bytes, enough) {
  const factor = Math.min(Math.floor(image.width / enough), Math.floor(image.height / enough));
  const scale = [8, 4, 2].find((one) => factor >= one);
  if (!scale) return image;
  const orientation = orientationOf(exifOf(bytes));
  const stored = upright(image, UNDONE[orientation] ?? orientation); // blocks start at the corner of the stored image
  return upright(lowFrequencies(stored, scale), orientation);
}

/** The TIFF tags of a JPEG file; null if it has none. */
function exifOf(bytes) {
  for (let place = 2; place + 10 < bytes.length && bytes[place] === 0xff && bytes[place + 1] !== START_OF_SCAN;) {
    const length = (bytes[place + 2] << 8) | bytes[place + 3];
    const name = String.fromCharCode(...bytes.subarray(place + 4, place + 8));
    if (bytes[place + 1] === APP1 && name === "Exif") return bytes.subarray(place + 10, place + 2 + length);
    place += 2 + length;
  }
  return null;
}

/** Each block of 8 x 8 pixels as one of 8/scale x 8/scale with the same low frequencies. Edges are repeated. */
function lowFrequencies({ width, height, channels, data }, scale) {
  const size = BLOCK / scale;
  const basis = reducing(size);
  const [newWidth, newHeight] = [Math.ceil(width / scale), Math.ceil(height / scale)];
  const narrow = new Float32Array(height * newWidth * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const first = Math.floor(x / size) * BLOCK;
      const row = (x % size) * BLOCK;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let i = 0; i < BLOCK; i++) {
          sum += basis[row + i] * data[(y * width + Math.min(width - 1, first + i)) * channels + channel];
        }
        narrow[(y * newWidth + x) * channels + channel] = sum;
      }
    }
  }
  const stride = newWidth * channels;
  const found = new Uint8ClampedArray(newHeight * stride); // rounds, too
  for (let y = 0; y < newHeight; y++) {
    const first = Math.floor(y / size) * BLOCK;
    const row = (y % size) * BLOCK;
    for (let x = 0; x < stride; x++) {
      let sum = 0;
      for (let i = 0; i < BLOCK; i++) sum += basis[row + i] * narrow[Math.min(height - 1, first + i) * stride + x];
      found[y * stride + x] = sum;
    }
  }
  return { width: newWidth, height: newHeight, channels, data: new Uint8Array(found.buffer) };
}

/** The matrix (size, 8) that takes 8 values to their lowest `size` frequencies and those to `size` values. */
function reducing(size) {
  const found = new Float64Array(size * BLOCK);
  for (let to = 0; to < size; to++) {
    for (let from = 0; from < BLOCK; from++) {
      let sum = 1 / BLOCK;
      for (let k = 1; k < size; k++) {
        sum +=
          (2 / BLOCK) *
          Math.cos(((2 * to + 1) * k * Math.PI) / (2 * size)) *
          Math.cos(((2 * from + 1) * k * Math.PI) / (2 * BLOCK));
      }
      found[to * BLOCK + from] = sum;
    }
  }
  return found;
}
