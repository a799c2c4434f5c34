/** An opened model: pixels in, probabilities out. */
import { PageError } from "./errors.js";
import { loadRuntime, openSession } from "./onnxruntime.js";

/** What has to be applied to the output of each kind of operator to get probabilities. */
const APPLIED = { softmax: "none", sigmoid: "none", scores: "softmax" };

/** The bytes of a file of the page. */
export async function fetchBytes(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new PageError(`this file is missing (${answer.status}): ${url}`, "job");
  return new Uint8Array(await answer.arrayBuffer());
}

/** Open `bytes` as `entry` (see page.json) describes them. */
export async function openModel(entry, bytes, threads) {
  await loadRuntime(threads);
  return new Model(entry, await openSession(entry, bytes), threads);
}

class Model {
  constructor(entry, session, threads) {
    this.entry = entry;
    this.threads = threads;
    this.session = session;
    this.applied = applied(entry);
  }

  /** What the pixels of an image depend on. */
  get geometry() {
    const { input, resize, filter, range, pillow } = this.entry;
    return { height: input.height, width: input.width, channels: input.channels, resize, filter, range, pillow };
  }

  /** The input for pixels, Uint8Array (height, width, channels). */
  tensor(pixels) {
    const { dtype, layout, height, width, channels, batch } = this.entry.input;
    const values = dtype === "uint8" ? pixels : scaled(pixels, channels, this.entry.scaling);
    const ordered = layout === "NCHW" ? channelsFirst(values, channels) : values;
    const shape = layout === "NCHW" ? [batch, channels, height, width] : [batch, height, width, channels];
    return this.session.tensor(repeated(ordered, batch), shape);
  }

  setInput(tensor) {
    this.session.setInput(tensor);
  }

  /** One inference. This alone is timed. */
  async invoke() {
    await this.session.invoke();
  }

  /** The result of the last inference: its first image's score of each class. */
  scores() {
    const values = this.session.output();
    const scores = Float32Array.from(values.subarray(0, values.length / this.entry.input.batch));
    if (!scores.every(Number.isFinite)) throw new PageError("the output is not finite", "output");
    return scores;
  }

  /** The result of the last inference as probabilities. */
  probabilities() {
    const scores = this.scores();
    this.applied ??= areProbabilities(scores) ? "none" : scores.length === 1 ? "sigmoid" : "softmax";
    const found =
      this.applied === "softmax" ? softmax(scores) : this.applied === "sigmoid" ? scores.map(sigmoid) : scores;
    return found.length === 1 ? Float32Array.of(1 - found[0], found[0]) : found;
  }

  async classify(pixels) {
    this.setInput(this.tensor(pixels));
    await this.invoke();
    return this.probabilities();
  }

  async close() {
    await this.session.close();
  }
}

function applied({ activation, output }) {
  if (activation !== "auto") return activation;
  const found = APPLIED[output.operator] ?? null;
  return found === "softmax" && output.classes === 1 ? "sigmoid" : found;
}

function scaled(pixels, channels, scaling) {
  const { mean, std, bgr } = scaling ?? { mean: [0, 0, 0], std: [1, 1, 1], bgr: false };
  const [means, stds] = [Float32Array.from(mean), Float32Array.from(std)];
  const found = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const channel = i % channels;
    const value = bgr ? pixels[i - channel + channels - 1 - channel] : pixels[i];
    found[i] = Math.fround(value - means[channel]) / stds[channel];
  }
  return found;
}

function channelsFirst(values, channels) {
  const found = new values.constructor(values.length);
  const plane = values.length / channels;
  for (let i = 0; i < values.length; i++) found[(i % channels) * plane + Math.floor(i / channels)] = values[i];
  return found;
}

function repeated(values, batch) {
  if (batch === 1) return values;
  const found = new values.constructor(values.length * batch);
  for (let image = 0; image < batch; image++) found.set(values, image * values.length);
  return found;
}

const areProbabilities = (scores) => Math.min(...scores) >= -1e-3 && Math.max(...scores) <= 1.001;
const sigmoid = (score) => 1 / (1 + Math.exp(-score));

function softmax(scores) {
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** The number of the largest value. */
export const argmax = (values) => values.reduce((best, value, place) => (value > values[best] ? place : best), 0);
