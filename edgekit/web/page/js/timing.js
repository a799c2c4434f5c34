/**
 * The timing protocol of `edgekit bench`, in a browser: warm-up, then interleaved blocks of all models in a given order.
 * Only the inference is timed. See docs/explanation/measurement.md.
 */
import { argmax } from "./model.js";
import { loadPixels } from "./decode.js";

const DECODED_IMAGES = 16;
const NOISE_IMAGES = 8;
/** A longer run streams its weights from memory anyway, so what an earlier model left in the caches does not matter. */
const SLOW_NS = 20_000_000;
const CONTROL = "#again";
const SAME = "#same";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const since = (start) => Math.max(1, Math.round((performance.now() - start) * 1e6));

/** The smallest step of the clock in nanoseconds. */
export function clockStepNs() {
  let smallest = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    smallest = Math.min(smallest, now - start);
  }
  return Math.round(smallest * 1e6);
}

/**
 * Measure the models of `job`; `open(entry)` opens one, `emit` gets the events of edgekit's device program.
 * `job.order` has the keys of each round in the order of their blocks; the first `job.skip` blocks are left out.
 */
export async function measureLatency(job, open, readImage, emit) {
  const subjects = await openSubjects(job, open, readImage, emit);
  const skip = job.skip ?? 0;
  let ended = performance.now();
  for (const [round, keys] of job.order.entries()) {
    const present = keys.filter((key) => subjects.has(key));
    for (const [place, key] of present.entries()) {
      if (round * present.length + place < skip) continue;
      if (job.protocol.cooldown_ns) await sleep(job.protocol.cooldown_ns / 1e6);
      const { begin, ...block } = await subjects.get(key).block(job.protocol, round);
      emit({ event: "block", round, key, idle_ns: Math.round((begin - ended) * 1e6), ...block });
      ended = performance.now();
    }
    emit({ event: "state", round });
    await sleep(0); // lets the page draw
  }
  for (const subject of subjects.values()) await subject.model.close();
}

async function openSubjects(job, open, readImage, emit) {
  const subjects = new Map();
  const again = (job.controls ?? []).map((key) => [key, key + CONTROL]);
  const same = (job.same_input ?? []).map((key) => [key, key + SAME]);
  const entries = Object.fromEntries(job.models.map((entry) => [entry.key, entry]));
  for (const [key, own] of [...job.models.map((entry) => [entry.key, entry.key]), ...again, ...same]) {
    if (own !== key && !subjects.has(key)) continue;
    const subject = await prepared(entries[key], own, job, open, readImage, emit);
    if (subject) subjects.set(own, subject);
  }
  return subjects;
}

async function prepared(entry, key, job, open, readImage, emit) {
  emit({ event: "opening", key });
  const bytes = await open.bytes(entry);
  let start = performance.now();
  const model = await open.model(entry, bytes);
  const loadNs = since(start);
  const inputs = new Inputs(entry, model, readImage, job.protocol.rounds, key.endsWith(SAME));
  model.setInput((await inputs.tensors(inputs.numbers(0).slice(0, 1)))[0]);
  start = performance.now();
  await model.invoke();
  const firstNs = since(start);
  try {
    model.scores();
  } catch (error) {
    emit({ event: "failed", key, reason: error.message });
    return null;
  }
  const warmup = await warmedUp(model, job.protocol);
  const runtime = open.runtime();
  emit({ event: "model", key, runtime, threads: job.threads, load_ns: loadNs, first_ns: firstNs, warmup_ns: warmup });
  if (key === entry.key && entry.images?.length && !job.skip) await timeImages(entry, model, readImage, emit);
  const middle = [...warmup].sort((a, b) => a - b)[warmup.length >> 1];
  return new Subject(model, inputs, middle);
}

async function warmedUp(model, { warmup_runs: runs, warmup_ns: ns }) {
  const samples = [];
  for (let spent = 0; spent < ns || samples.length < runs;) {
    const start = performance.now();
    await model.invoke();
    samples.push(since(start));
    spent += samples.at(-1);
  }
  return samples;
}

/** The time to decode, resize and scale each image, and to read the result. */
async function timeImages(entry, model, readImage, emit) {
  const before = [];
  const after = [];
  for (const image of entry.images.slice(0, DECODED_IMAGES)) {
    const blob = await readImage(image);
    let start = performance.now();
    const tensor = model.tensor(await loadPixels(blob, model.geometry));
    before.push(since(start));
    model.setInput(tensor);
    await model.invoke();
    start = performance.now();
    argmax(model.probabilities());
    after.push(since(start));
  }
  emit({ event: "images", key: entry.key, preprocess_ns: before, postprocess_ns: after });
}

/** One opened model in the measurement. */
class Subject {
  constructor(model, inputs, typicalNs) {
    Object.assign(this, { model, inputs, typicalNs });
  }

  async block(protocol, round) {
    const { model } = this;
    const numbers = this.inputs.numbers(round);
    const tensors = await this.inputs.tensors(numbers);
    model.setInput(tensors.at(-1));
    if (this.typicalNs < SLOW_NS) await model.invoke(); // not timed: brings code and weights back into the caches
    const period = protocol.period_ns ?? 0;
    const ns = [];
    const answers = [];
    let [spent, number, paused, due] = [0, 0, 0, performance.now()];
    const begin = performance.now();
    while (spent < protocol.block_ns || number < protocol.block_runs) {
      model.setInput(tensors[number % tensors.length]);
      if (period) {
        const pause = performance.now();
        if (due > pause) await sleep(due - pause);
        paused += performance.now() - pause;
        due = performance.now() + period / 1e6;
      }
      const start = performance.now();
      await model.invoke();
      ns.push(since(start));
      spent += Math.max(ns.at(-1), period);
      if ((number & (number - 1)) === 0) answers.push(this.answer(numbers[number % tensors.length]));
      number += 1;
    }
    const wall = Math.max(1, since(begin) - Math.round(paused * 1e6));
    return { begin, ns, wall_ns: wall, answers };
  }

  /** What the last run said about the input `image`. */
  answer(image) {
    try {
      const found = this.inputs.areImages ? this.model.probabilities() : this.model.scores();
      const predicted = argmax(found);
      return { image, predicted, score: found[predicted] };
    } catch {
      return { image, predicted: null, score: null };
    }
  }
}

/** The inputs of one model: its images, those of each round apart, or noise. */
class Inputs {
  constructor(entry, model, readImage, rounds, same) {
    Object.assign(this, { entry, model, readImage, same });
    this.perRound = Math.floor((entry.images?.length ?? 0) / rounds);
  }

  get areImages() {
    return this.perRound > 0;
  }

  numbers(round) {
    if (this.same) return [0];
    const [first, count] = this.areImages ? [round * this.perRound, this.perRound] : [0, NOISE_IMAGES];
    return Array.from({ length: count }, (_, i) => first + i);
  }

  async tensors(numbers) {
    const found = [];
    for (const number of numbers) found.push(this.model.tensor(await this.pixels(number)));
    return found;
  }

  async pixels(number) {
    if (!this.areImages) return noise(this.model.geometry, number);
    return loadPixels(await this.readImage(this.entry.images[number]), this.model.geometry);
  }
}

/** Seeded noise (mulberry32). */
export function noise({ height, width, channels }, seed) {
  let state = seed + 1;
  return Uint8Array.from({ length: height * width * channels }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) & 255;
  });
}
