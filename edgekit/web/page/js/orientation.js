/** EXIF orientation: reading it from TIFF tags, and turning an image by it. */

const ORIENTATION_TAG = 0x0112;

/** 1 to 8; 1 where the tags are missing or damaged. */
export function orientationOf(exif) {
  if (!exif || exif.length < 14) return 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const little = view.getUint16(0) === 0x4949;
  try {
    const first = view.getUint32(4, little);
    const count = view.getUint16(first, little);
    for (let entry = 0; entry < count; entry++) {
      const place = first + 2 + 12 * entry;
      if (view.getUint16(place, little) === ORIENTATION_TAG) return view.getUint16(place + 8, little);
    }
  } catch {
    return 1;
  }
  return 1;
}

/** The image as it is meant to be seen. */
export function upright(image, orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const { width, height, channels, data } = image;
  const turned = orientation >= 5;
  const [newWidth, newHeight] = turned ? [height, width] : [width, height];
  const found = new Uint8Array(data.length);
  const mirroredX = [2, 3, 7, 8].includes(orientation);
  const mirroredY = [3, 4, 6, 7].includes(orientation);
  for (let y = 0; y < newHeight; y++) {
    for (let x = 0; x < newWidth; x++) {
      let [fromX, fromY] = turned ? [y, x] : [x, y];
      if (mirroredX) fromX = width - 1 - fromX;
      if (mirroredY) fromY = height - 1 - fromY;
      const from = (fromY * width + fromX) * channels;
      const to = (y * newWidth + x) * channels;
      for (let channel = 0; channel < channels; channel++) found[to + channel] = data[from + channel];
    }
  }
  return { width: newWidth, height: newHeight, channels, data: found };
}
