/**
 * Bringing an image to the size that a model takes: the arithmetic of Pillow, step by step, so that a browser and
 * edgekit's own decoder give the same pixels. An image is {width, height, channels, data}, `data` being a Uint8Array of
 * (height, width, channels).
 */

const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** How far each filter reaches, and its weight at a distance. */
const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  area: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bicubic: { support: 2, weight: cubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function cubic(signed) {
  const a = -0.5;
  const x = Math.abs(signed);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/**
 * `image` in the size that `geometry` gives. `resize`: stretch, crop or pad; `filter`: a key of FILTERS, or nearest;
 * `pillow`: the major version of Pillow whose pixels are wanted.
 */
export function fitted(image, geometry) {
  const { height, width, resize: method } = geometry;
  const excess = image.width * height - image.height * width;
  if (excess === 0 || method === "stretch") return resized(image, height, width, geometry);
  if (method === "crop") {
    const boxWidth = excess > 0 ? (image.height * width) / height : image.width;
    const boxHeight = excess < 0 ? (image.width * height) / width : image.height;
    const left = (image.width - boxWidth) / 2;
    const top = (image.height - boxHeight) / 2;
    return resized(image, height, width, geometry, [left, top, left + boxWidth, top + boxHeight]);
  }
  const innerWidth = excess > 0 ? width : Math.max(1, roundHalfEven((image.width * height) / image.height));
  const innerHeight = excess < 0 ? height : Math.max(1, roundHalfEven((image.height * width) / image.width));
  return onBlack(resized(image, innerHeight, innerWidth, geometry), height, width);
}

/**
 * edgekit decodes a JPEG much larger than needed at 1/2, 1/4 or 1/8 of its size. Other decoders cannot, so blocks of
 * pixels are averaged, which comes close. The image keeps at least `enough` pixels in both directions.
 */
export function reduced(image, enough) {
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

/** RGB as grey (ITU-R 601-2 luma), as Pillow converts it. */
export function grey({ width, height, channels, data }) {
  if (channels === 1) return { width, height, channels, data };
  const found = new Uint8Array(width * height);
  for (let i = 0; i < found.length; i++) {
    found[i] = (data[3 * i] * 19595 + data[3 * i + 1] * 38470 + data[3 * i + 2] * 7471 + 0x8000) >> 16;
  }
  return { width, height, channels: 1, data: found };
}

/** A grey image as RGB; an RGB image as it is. */
export function rgb({ width, height, channels, data }) {
  if (channels === 3) return { width, height, channels, data };
  const found = new Uint8Array(3 * width * height);
  for (let i = 0; i < data.length; i++) found.fill(data[i], 3 * i, 3 * i + 3);
  return { width, height, channels: 3, data: found };
}

function resized(image, height, width, { filter, pillow }, box = [0, 0, image.width, image.height]) {
  const [left, top, right, bottom] = box.map(Math.fround); // Pillow keeps the box in single precision
  if (filter === "nearest") return nearest(image, height, width, left, top, right, bottom);
  const across = left !== 0 || right !== width || image.width !== width;
  const down = top !== 0 || bottom !== height || image.height !== height;
  const rows = coefficients(image.height, top, bottom, height, FILTERS[filter]);
  const columns = coefficients(image.width, left, right, width, FILTERS[filter]);
  if (across && down && startsVertically(image, height, width, pillow)) {
    return horizontally(vertically(image, rows, 0), 0, height, columns);
  }
  const first = rows.starts[0];
  const last = rows.starts[height - 1] + rows.counts[height - 1];
  const narrow = across ? horizontally(image, first, last, columns) : image;
  return down ? vertically(narrow, rows, across ? first : 0) : narrow;
}

/** Each pass rounds to 8 bits, so their order matters. Since version 13, Pillow does not always start horizontally. */
function startsVertically(image, height, width, pillow) {
  return pillow >= 13 && height < image.height && image.height - height > 2 * (image.width - width);
}

/** The weights of the source pixels of each of `size` pixels, as integers with PRECISION_BITS. */
function coefficients(sourceSize, from, to, size, { support, weight }) {
  const scale = Math.fround(to - from) / size;
  const filterScale = Math.max(scale, 1);
  const reach = support * filterScale;
  const most = Math.ceil(reach) * 2 + 1;
  const weights = new Int32Array(size * most);
  const starts = new Int32Array(size);
  const counts = new Int32Array(size);
  const row = new Float64Array(most);
  for (let place = 0; place < size; place++) {
    const centre = from + (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(sourceSize, Math.trunc(centre + reach + 0.5)) - start;
    let sum = 0;
    for (let x = 0; x < count; x++) {
      row[x] = weight((x + start - centre + 0.5) * (1 / filterScale));
      sum += row[x];
    }
    for (let x = 0; x < count; x++) {
      const value = (sum === 0 ? row[x] : row[x] / sum) * (1 << PRECISION_BITS);
      weights[place * most + x] = Math.trunc(value < 0 ? value - 0.5 : value + 0.5);
    }
    starts[place] = start;
    counts[place] = count;
  }
  return { size, most, weights, starts, counts };
}

const clipped = (sum) => {
  const value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
};

/** The rows from `first` to `last`, each as wide as `columns` says. */
function horizontally({ width, channels, data }, first, last, columns) {
  const { size, most, weights, starts, counts } = columns;
  const found = new Uint8Array((last - first) * size * channels);
  let to = 0;
  for (let y = first; y < last; y++) {
    for (let place = 0; place < size; place++) {
      const begin = (y * width + starts[place]) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        for (let x = 0, from = begin + channel; x < counts[place]; x++, from += channels) {
          sum += data[from] * weights[place * most + x];
        }
        found[to++] = clipped(sum);
      }
    }
  }
  return { width: size, height: last - first, channels, data: found };
}

/** As many rows as `rows` says; the first row of the image is row `offset` of the source. */
function vertically({ width, channels, data }, rows, offset) {
  const { size, most, weights, starts, counts } = rows;
  const stride = width * channels;
  const found = new Uint8Array(size * stride);
  const sums = new Int32Array(stride);
  for (let place = 0; place < size; place++) {
    sums.fill(HALF);
    for (let y = 0; y < counts[place]; y++) {
      const factor = weights[place * most + y];
      const from = (starts[place] + y - offset) * stride;
      for (let x = 0; x < stride; x++) sums[x] += data[from + x] * factor;
    }
    for (let x = 0; x < stride; x++) found[place * stride + x] = clipped(sums[x]);
  }
  return { width, height: size, channels, data: found };
}

function nearest({ width: oldWidth, height: oldHeight, channels, data }, height, width, left, top, right, bottom) {
  const places = (from, to, size, limit) => {
    const step = (to - from) / size;
    const found = new Int32Array(size);
    for (let i = 0, at = from + step * 0.5; i < size; i++, at += step) found[i] = Math.min(limit - 1, Math.trunc(at));
    return found;
  };
  const columns = places(left, right, width, oldWidth);
  const rows = places(top, bottom, height, oldHeight);
  const found = new Uint8Array(height * width * channels);
  let to = 0;
  for (const y of rows) {
    for (const x of columns) {
      const from = (y * oldWidth + x) * channels;
      for (let channel = 0; channel < channels; channel++) found[to++] = data[from + channel];
    }
  }
  return { width, height, channels, data: found };
}

/** `image` in the middle of a black one. */
function onBlack(image, height, width) {
  const { channels } = image;
  const data = new Uint8Array(height * width * channels);
  const left = Math.floor((width - image.width) / 2);
  const top = Math.floor((height - image.height) / 2);
  const stride = image.width * channels;
  for (let y = 0; y < image.height; y++) {
    data.set(image.data.subarray(y * stride, (y + 1) * stride), ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data };
}

/** Python's round(): halves go to the even number. */
function roundHalfEven(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return Math.round(value);
  return down % 2 === 0 ? down : down + 1;
}
