/** The page's side of worker.js. */

/** A worker of its own: a fresh copy of the runtime. */
export class WorkerClient {
  constructor() {
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.jobs = new Map();
    this.next = 0;
    this.worker.onmessage = ({ data: { id, event } }) => this.jobs.get(id)?.(event);
    this.broken = null;
    this.worker.onerror = (error) => {
      const reason = error.message || "this browser cannot start the page's program";
      this.broken = { event: "error", kind: "job", reason, where: null };
      for (const handle of this.jobs.values()) handle(this.broken);
    };
  }

  /** Run a verb; `onEvent` gets its events. Rejects with the reason of an error event. */
  run(verb, job, onEvent = () => {}) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.jobs.set(id, (event) => {
        if (event.event === "done") resolve();
        else if (event.event === "error") reject(Object.assign(new Error(event.reason), event));
        else return onEvent(event);
        this.jobs.delete(id);
      });
      if (this.broken) this.jobs.get(id)(this.broken);
      else this.worker.postMessage({ id, verb, job });
    });
  }

  resume() {
    this.worker.postMessage({ resume: true });
  }

  end() {
    this.worker.terminate();
  }
}
