/** From an image file to the pixels that a model takes. */
import { PageError } from "./errors.js";
import { isJpeg, reduced } from "./jpeg.js";
import { decodePng, isPng } from "./png.js";
import { fitted, grey } from "./resize.js";

const UNSUPPORTED = "this browser cannot decode it; use JPEG, PNG, WebP, GIF or BMP";

/** Raised by one whenever the pixels change, as the number in edgekit's own decoder. */
export const DECODER = "edgekit-2 web-1";

/** Uint8Array (height, width, channels) for a model's `geometry`. Throws a PageError for a file that is no image. */
export async function loadPixels(blob, geometry) {
  const { height, width, channels, filter, range } = geometry;
  const enough = filter === "bilinear" ? 2 * Math.max(height, width) : 0;
  const image = await decoded(blob, range, enough);
  const small = fitted(image, geometry);
  return (channels === 1 ? grey(small) : small).data;
}

async function decoded(blob, range, enough) {
  if (!blob.size) throw new PageError("the file is empty");
  const start = new Uint8Array(await blob.slice(0, 8).arrayBuffer());
  if (isPng(start)) return decodePng(new Uint8Array(await blob.arrayBuffer()), range);
  const image = await byBrowser(blob);
  return isJpeg(start) && enough ? reduced(image, new Uint8Array(await blob.arrayBuffer()), enough) : image;
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
