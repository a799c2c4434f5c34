/** The timing protocol, in one fresh worker after another: what comes closest to processes in a page. */
import { subjectsOf } from "./bench_document.js";
import { WorkerClient } from "./worker_client.js";

/** A clock whose steps are a larger share of a run cannot tell runs apart. */
const COARSE_SHARE = 0.02;

export class Measurement {
  constructor(protocol, models) {
    Object.assign(this, { protocol, models, processes: [], stopped: false, hidden: document.hidden });
    this.started = new Date();
    this.sessionId = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
  }

  /** Measure; `report(share, text)` says how far it is. Throws where it fails or is stopped. */
  async run(report) {
    const noteHidden = () => (this.hidden ||= document.hidden);
    document.addEventListener("visibilitychange", noteHidden);
    const subjects = subjectsOf(this.models);
    const steps = this.protocol.repeats * subjects.length * (this.protocol.rounds + 1);
    let done = 0;
    try {
      for (let number = 0; number < this.protocol.repeats; number++) {
        const events = [];
        await this.process(subjects, (event) => {
          events.push(event);
          if (event.event === "model" || event.event === "block") done += 1;
          report(
            done / steps,
            `Measuring: round ${1 + Math.max(0, ...rounds(events))} of ${this.protocol.rounds}, process ${number + 1} of ${this.protocol.repeats}`,
          );
        });
        this.processes.push(events);
      }
    } finally {
      document.removeEventListener("visibilitychange", noteHidden);
    }
  }

  /** One process: a worker with a runtime of its own, in which all files are measured in turns. */
  async process(subjects, onEvent) {
    const client = new WorkerClient();
    const stopped = new Promise((_, reject) => (this.reject = reject));
    const job = {
      models: this.models.map(({ model }) => ({ ...model, images: [] })),
      threads: 1,
      protocol: this.protocol,
      controls: this.models.map(({ model }) => model.key),
      order: Array.from({ length: this.protocol.rounds }, () => shuffled(subjects)),
    };
    try {
      await Promise.race([stopped, client.run("probe", { models: [] }, (event) => (this.browser = event))]);
      await Promise.race([stopped, client.run("latency", job, onEvent)]);
    } finally {
      client.end();
    }
  }

  stop() {
    this.stopped = true;
    this.reject(new Error("stopped"));
  }

  /** Why the times of one file are in doubt. `ns`: all its runs. */
  doubts(ns) {
    const found = [];
    if (this.hidden) found.push("the page was in the background");
    const step = this.browser.clock_step_ns;
    const typical = [...ns].sort((a, b) => a - b)[ns.length >> 1];
    if (step > COARSE_SHARE * typical) {
      found.push(`the browser's clock has steps of ${step / 1e6} ms, which is too coarse for so short a run`);
    }
    return found;
  }
}

const rounds = (events) => events.filter(({ event }) => event === "block").map(({ round }) => round);

/** A copy in random order. */
function shuffled(values) {
  const found = [...values];
  for (let last = found.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [found[last], found[other]] = [found[other], found[last]];
  }
  return found;
}
