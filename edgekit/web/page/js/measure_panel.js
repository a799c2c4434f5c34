/** The section "Measure here". */
import { benchDocument, subjectsOf } from "./bench_document.js";
import { byId, element, milliseconds } from "./elements.js";
import { Measurement } from "./measurement.js";

let running = null;

export function setUpMeasuring(page, models) {
  for (const protocol of page.protocols) {
    const seconds = Math.ceil(durationS(protocol, subjectsOf(models).length));
    const time = seconds < 100 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`;
    byId("protocol").append(element("option", { value: protocol.name }, `${protocol.name} (about ${time})`));
  }
  byId("start").disabled = false;
  byId("measure").addEventListener("submit", (event) => {
    event.preventDefault();
    measure(
      page.protocols.find(({ name }) => name === byId("protocol").value),
      models,
    );
  });
  byId("stop").addEventListener("click", () => running?.stop());
}

/** At least so long. */
const durationS = ({ repeats, rounds, warmup_ns: warmup, block_ns: block }, subjects) =>
  (repeats * subjects * (warmup + rounds * block)) / 1e9;

async function measure(protocol, models) {
  running = new Measurement(protocol, models);
  showRunning(true);
  try {
    await running.run((share, text) => {
      byId("progress").value = share;
      byId("measure-status").textContent = text;
    });
    showMeasured(running, models);
  } catch (error) {
    byId("measure-status").textContent = running.stopped
      ? "Stopped. Nothing was saved."
      : `The measurement failed: ${error.message}`;
  } finally {
    running = null;
    showRunning(false);
  }
}

function showRunning(runs) {
  byId("start").hidden = runs;
  byId("stop").hidden = !runs;
  byId("progress").hidden = !runs;
  for (const id of ["protocol", "device"]) byId(id).disabled = runs;
  (runs ? byId("stop") : byId("start")).focus();
  if (runs) byId("measured").replaceChildren();
}

function showMeasured(measurement, models) {
  const target = byId("device").value;
  const documents = models.map((model) => benchDocument(model.result, measurement, target));
  const rows = documents.map((document) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, document.scheme),
      element("td", { class: "number" }, milliseconds(medianMs(document.latency[0]))),
      element(
        "td",
        { class: "number" },
        `${document.latency[0].processes.flatMap(({ blocks }) => blocks.flatMap(({ ns }) => ns)).length}`,
      ),
      element("td", {}, saveLink(document)),
    ),
  );
  const headings = ["File", "Median", "Runs", "Result"].map((text, place) =>
    element("th", { scope: "col", class: place === 1 || place === 2 ? "number" : "" }, text),
  );
  const caption = element("caption", {}, "Time of one inference");
  const table = element(
    "table",
    {},
    caption,
    element("thead", {}, element("tr", {}, ...headings)),
    element("tbody", {}, ...rows),
  );
  const doubts = documents.flatMap(({ scheme, latency: [{ unstable }] }) =>
    unstable.map((text) => element("p", { class: "problem" }, `${scheme} is not reliable: ${text}.`)),
  );
  const folder = `bench/${target}`;
  const advice = element(
    "p",
    {},
    "To see this in a report, move the saved files to the folder ",
    element("code", {}, folder),
    " of the run, and run ",
    element("code", {}, "edgekit report"),
    ".",
  );
  const scroll = element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Results of the measurement" },
    table,
  );
  byId("measured").replaceChildren(scroll, ...doubts, advice);
  byId("measure-status").textContent = "Measured.";
}

/** The median of the medians of the blocks, as in a report. */
function medianMs({ processes }) {
  const medians = processes.flatMap(({ blocks }) =>
    blocks.filter(({ n_wrong: wrong }) => !wrong).map(({ ns }) => median(ns)),
  );
  return median(medians) / 1e6;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function saveLink(document) {
  const blob = new Blob([JSON.stringify(document, null, 1)], { type: "application/json" });
  return element(
    "a",
    { href: URL.createObjectURL(blob), download: `${document.key}.json` },
    `Save ${document.key}.json`,
  );
}
