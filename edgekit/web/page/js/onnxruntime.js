/** ONNX Runtime Web as the runtime of model.js. */
import * as ort from "../runtime/ort.wasm.min.mjs";
import { PageError } from "./errors.js";

/** An ONNX file that returns its input, with which the runtime is loaded before a model is. */
const NOTHING = "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=";

const OPTIONS = {
  executionProviders: ["wasm"],
  graphOptimizationLevel: "all",
  logSeverityLevel: 3,
  // Threads may spin during a run, but not into the next model's block.
  extra: { session: { force_spinning_stop: "1" } },
};

ort.env.wasm.wasmPaths = new URL("../runtime/", import.meta.url).href;
ort.env.logLevel = "error";

let loadedThreads = null;

export const runtimeInfo = () => ({
  name: "onnxruntime-web",
  version: ort.env.versions.web,
  delegate: "wasm",
  precision: null,
});

/** More than one only where the server isolates the page. */
export const mostThreads = () => (self.crossOriginIsolated ? navigator.hardwareConcurrency : 1);

/** Load the runtime itself. Its number of threads cannot change afterwards. */
export async function loadRuntime(threads) {
  if (loadedThreads === threads) return;
  if (loadedThreads !== null) throw new PageError(`the runtime was loaded with ${loadedThreads} threads`, "job");
  if (threads > mostThreads()) {
    throw new PageError(`the browser lets this page use ${mostThreads()} threads, not ${threads}`, "job");
  }
  ort.env.wasm.numThreads = threads;
  loadedThreads = threads;
  const bytes = Uint8Array.from(atob(NOTHING), (letter) => letter.charCodeAt(0));
  const session = await ort.InferenceSession.create(bytes, OPTIONS);
  await session.release();
}

/** Open a file for inputs and outputs as `entry` (see page.json) describes them. */
export async function openSession(entry, bytes) {
  try {
    return new Session(entry, await ort.InferenceSession.create(bytes, OPTIONS));
  } catch (error) {
    const reason = String(error?.message ?? error).split("\n")[0];
    throw new PageError(`onnxruntime-web cannot open this file: ${reason}`, "model");
  }
}

class Session {
  constructor(entry, session) {
    Object.assign(this, { entry, session });
  }

  tensor(values, shape) {
    return new ort.Tensor(this.entry.input.dtype, values, shape);
  }

  setInput(tensor) {
    this.feeds = { [this.entry.input.name]: tensor };
  }

  async invoke() {
    this.results = await this.session.run(this.feeds);
  }

  output() {
    return this.results[this.entry.output.name].data;
  }

  async close() {
    await this.session.release();
  }
}
