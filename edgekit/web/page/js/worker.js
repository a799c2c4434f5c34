/**
 * Everything that takes long, away from the page, so that it stays responsive. A message {id, verb, job} is answered by
 * messages {id, event}; the last event is `done` or `error`. The events are those of edgekit's device program.
 */
import { DECODER, loadPixels } from "./decode.js";
import { PageError } from "./errors.js";
import { fetchBytes, openModel } from "./model.js";
import { loadRuntime, mostThreads, runtimeInfo } from "./onnxruntime.js";
import { clockStepNs, measureLatency, noise } from "./timing.js";

const CHUNK = 32;
const MEMORY_RUNS = 5;

const opened = new Map();
let resume = null;

/** Jobs run one after another, in the order of their messages. */
let last = Promise.resolve();

self.onmessage = ({ data }) => {
  if (data.resume) resume?.();
  else last = last.then(() => answer(data));
};

async function answer({ id, verb, job }) {
  const emit = (event) => self.postMessage({ id, event });
  try {
    await VERBS[verb](job, emit);
    emit({ event: "done" });
  } catch (error) {
    emit({
      event: "error",
      kind: error.kind ?? "job",
      reason: String(error.message ?? error),
      where: error.where ?? null,
    });
  }
}

const VERBS = { probe, load, classify, pixels, latency, accuracy, predict, verify, memory };

/** What the page can do here, and that each model opens. */
async function probe(job, emit) {
  await loadRuntime(1);
  emit({ event: "browser", threads: mostThreads(), clock_step_ns: clockStepNs(), decoder: DECODER });
  for (const entry of job.models) {
    emit({ event: "opening", key: entry.key });
    await (await open(entry, 1)).close();
    emit({ event: "opened", key: entry.key, runtime: runtimeInfo() });
  }
}

/** Open models, so that the first picture is classified at once. */
async function load({ models }) {
  for (const entry of models) await kept(entry);
}

/** An opened model, which stays open. */
async function kept(entry) {
  if (!opened.has(entry.key)) opened.set(entry.key, await open(entry, 1));
  return opened.get(entry.key);
}

/** The classes of one picture, by each model. */
async function classify({ blob, models }, emit) {
  for (const entry of models) {
    const model = await kept(entry);
    const start = performance.now();
    const pixels = await loadPixels(blob, model.geometry);
    const ready = performance.now();
    const probabilities = await model.classify(pixels);
    const end = performance.now();
    emit({ event: "classified", key: entry.key, probabilities, pixels, decode_ms: ready - start, run_ms: end - ready });
  }
}

/** The pixels of images, for tests of the decoder. */
async function pixels({ files, geometry }, emit) {
  for (const [number, url] of files.entries()) {
    emit({ event: "pixels", number, pixels_b64: base64(await readable(url, geometry)) });
  }
}

async function latency(job, emit) {
  const opener = {
    bytes: (entry) => fetchBytes(entry.url),
    model: (entry, bytes) => openModel(entry, bytes, job.threads),
    runtime: runtimeInfo,
  };
  await measureLatency(job, opener, readBlob, emit);
}

/** Probabilities for each of `job.files`, all models on the same pixels. */
async function accuracy(job, emit) {
  const models = new Map();
  for (const entry of job.models) {
    emit({ event: "opening", key: entry.key });
    models.set(entry.key, await open(entry, job.threads));
  }
  for (let start = job.skip ?? 0; start < job.files.length; start += CHUNK) {
    const files = job.files.slice(start, start + CHUNK);
    for (const [key, rows] of await scored(models, files, emit)) {
      const model = models.get(key);
      const found = { count: rows.length, classes: rows[0].length, probabilities_b64: packed(rows) };
      emit({ event: "predictions", key, start, condition: 0, activation: model.applied, ...found });
    }
  }
  emit({ event: "decoder", name: DECODER, suite: "" });
}

/** Probabilities for a few images. One that cannot be decoded is reported, and the others follow. */
async function predict(job, emit) {
  const models = [];
  for (const entry of job.models) models.push(await open(entry, 1));
  for (const [number, file] of job.files.entries()) {
    try {
      for (const model of models) {
        const found = await model.classify(await readable(file, model.geometry));
        emit({ event: "prediction", key: model.entry.key, number, file, probabilities: Array.from(found) });
      }
    } catch (error) {
      if (error.kind !== "image") throw error;
      emit({ event: "unreadable", number, file, reason: error.message });
    }
  }
}

/** The probabilities of each model for `files`, by key. A model whose output is not finite is dropped. */
async function scored(models, files, emit) {
  const rows = new Map([...models.keys()].map((key) => [key, []]));
  for (const file of files) {
    const decoded = new Map();
    for (const [key, model] of [...models]) {
      const geometry = JSON.stringify(model.geometry);
      if (!decoded.has(geometry)) decoded.set(geometry, await readable(file, model.geometry));
      try {
        rows.get(key).push(await model.classify(decoded.get(geometry)));
      } catch (error) {
        if (error.kind !== "output") throw error;
        emit({ event: "failed", key, reason: error.message });
        models.delete(key);
        rows.delete(key);
      }
    }
  }
  return rows;
}

/** The outputs for golden inputs: `entry.golden` is the URL of pixels (count, height, width, channels). */
async function verify(job, emit) {
  for (const entry of job.models) {
    emit({ event: "opening", key: entry.key });
    const model = await open(entry, 1);
    const bytes = await fetchBytes(entry.golden);
    const { height, width, channels } = model.geometry;
    const size = height * width * channels;
    const rows = [];
    for (let place = 0; place < bytes.length; place += size) {
      rows.push(await model.classify(bytes.slice(place, place + size)));
    }
    const found = { count: rows.length, classes: rows[0].length, probabilities_b64: packed(rows) };
    emit({ event: "outputs", key: entry.key, runtime: runtimeInfo(), ...found });
    await model.close();
  }
}

/** Stops twice, so that the memory can be read from outside: with the runtime alone, and after a few runs. */
async function memory(job, emit) {
  const [entry] = job.models;
  const stop = async (event) => {
    const resumed = new Promise((resolve) => (resume = resolve));
    emit({ event });
    await resumed;
  };
  await loadRuntime(job.threads);
  await stop("baseline");
  emit({ event: "opening", key: entry.key });
  const model = await open(entry, job.threads);
  model.setInput(model.tensor(noise(model.geometry, 0)));
  for (let run = 0; run < MEMORY_RUNS; run++) await model.invoke();
  await stop("peak");
}

const open = async (entry, threads) => openModel(entry, await fetchBytes(entry.url), threads);

const readBlob = async (url) => new Blob([await fetchBytes(url)]);

async function readable(url, geometry) {
  try {
    return await loadPixels(await readBlob(url), geometry);
  } catch (error) {
    if (error instanceof PageError) error.where = url;
    throw error;
  }
}

/** float32 (count, classes), little-endian, in base64. */
function packed(rows) {
  const values = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, place) => values.set(row, place * row.length));
  return base64(new Uint8Array(values.buffer));
}

function base64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}
