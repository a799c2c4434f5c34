/** From an image file to the pixels that a model takes. */
import { PageError } from "./errors.js";
import { decodePng, isPng } from "./png.js";
import { fitted, grey } from "./resize.js";

const UNSUPPORTED = "this browser cannot decode it; use JPEG, PNG, WebP, GIF or BMP";

/** Raised by one whenever the pixels change, as the number in edgekit's own decoder. */
export const DECODER = "edgekit-2 web-1";

/** Uint8Array (height, width, channels) for a model's `geometry`. Throws a PageError for a file that is no image. */
export async function loadPixels(blob, geometry) {
  const { height, width, channels, resize, filter, range } = geometry;
  const enough = filter === "bilinear" ? 2 * Math.max(height, width) : 0;
  const image = await decoded(blob, range, enough);
  const small = fitted(image, height, width, resize, filter);
  return (channels === 1 ? grey(small) : small).data;
}

async function decoded(blob, range, enough) {
  if (!blob.size) throw new PageError("the file is empty");
  const start = new Uint8Array(await blob.slice(0, 8).arrayBuffer());
  if (isPng(start)) return decodePng(new Uint8Array(await blob.arrayBuffer()), range);
  const image = await byBrowser(blob);
  const isJpeg = start[0] === 0xff && start[1] === 0xd8;
  return isJpeg && enough ? reduced(image, enough) : image;
}

/** An RGB image; EXIF orientation is applied, colour profiles are not, and transparent pixels become white. */
async function byBrowser(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new PageError(UNSUPPORTED);
  }
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new PageError(`too many pixels for this browser: ${width} x ${height}`);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let i = 0, from = 0, to = 0; i < width * height; i++, from += 4) {
    data[to++] = pixels[from];
    data[to++] = pixels[from + 1];
    data[to++] = pixels[from + 2];
  }
  return { width, height, channels: 3, data };
}

/**
 * edgekit decodes a JPEG much larger than needed at 1/2, 1/4 or 1/8 of its size. A browser cannot, so blocks of pixels
 * are averaged, which comes close.
 */
function reduced(image, enough) {
  const factor = Math.min(Math.floor(image.width / enough), Math.floor(image.height / enough));
  const scale = factor >= 8 ? 8 : factor >= 4 ? 4 : factor >= 2 ? 2 : 1;
  if (scale === 1) return image;
  const width = Math.ceil(image.width / scale);
  const height = Math.ceil(image.height / scale);
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, to = 0; y < height; y++) {
    const rows = Math.min(scale, image.height - y * scale);
    for (let x = 0; x < width; x++) {
      const columns = Math.min(scale, image.width - x * scale);
      const count = rows * columns;
      for (let channel = 0; channel < channels; channel++) {
        let sum = count >> 1;
        for (let j = 0; j < rows; j++) {
          let from = ((y * scale + j) * image.width + x * scale) * channels + channel;
          for (let i = 0; i < columns; i++, from += channels) sum += image.data[from];
        }
        data[to++] = Math.floor(sum / count);
      }
    }
  }
  return { width, height, channels, data };
}
