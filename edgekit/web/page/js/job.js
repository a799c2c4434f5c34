/** The page that `edgekit bench --target web` opens: it runs one job and hands its events to the host. */
import { WorkerClient } from "./worker_client.js";

const client = new WorkerClient();
const send = (event) => window.edgekitEvent(JSON.stringify(event));

window.edgekitResume = () => client.resume();

window.edgekitRun = (verb, job) => {
  client.run(verb, job, send).then(
    () => send({ event: "done" }),
    ({ kind, reason, where }) => send({ event: "error", kind, reason, where }),
  );
};
