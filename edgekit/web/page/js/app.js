/** The page: takes pictures, shows classes, starts measurements. What takes long is in worker.js. */
import { byId, element, megabytes } from "./elements.js";
import { setUpMeasuring } from "./measure_panel.js";
import { agreementText, resultBlock } from "./results.js";
import { WorkerClient } from "./worker_client.js";

const state = { models: [], client: null, picture: null, turn: 0 };

async function start() {
  const page = await (await fetch("page.json")).json();
  document.title = page.title;
  byId("title").textContent = page.title;
  state.models = page.models.map((one) => ({
    ...one,
    model: { ...one.model, url: new URL(one.file, document.baseURI).href },
  }));
  state.client = new WorkerClient();
  listFiles();
  offerComparison();
  acceptPictures();
  await state.client.run("load", { models: [state.models[0].model] });
  say("");
  setUpMeasuring(page, state.models);
  document.body.dataset.ready = "true";
}

function listFiles() {
  for (const { result, file } of state.models) {
    const link = element("a", { href: file, download: `${result.key}.${result.format}` }, result.key);
    byId("files").tBodies[0].append(
      element(
        "tr",
        {},
        element("td", {}, link),
        element("td", {}, `${result.format.toUpperCase()}, ${result.scheme}`),
        element("td", { class: "number" }, megabytes(result.size_bytes)),
        element("td", {}, element("code", {}, `${result.sha256.slice(0, 16)}…`)),
      ),
    );
  }
}

function offerComparison() {
  byId("compare").hidden = state.models.length < 2;
  for (const { model, result } of state.models.slice(1)) {
    const box = element("input", { type: "checkbox", value: model.key });
    box.addEventListener("change", classify);
    byId("compare").append(element("label", {}, box, `${result.scheme} (${megabytes(result.size_bytes)})`));
  }
}

function chosenModels() {
  const chosen = new Set(Array.from(byId("compare").querySelectorAll("input:checked"), (box) => box.value));
  return state.models.filter(({ model }, place) => place === 0 || chosen.has(model.key));
}

function acceptPictures() {
  for (const id of ["file", "camera"]) {
    byId(id).addEventListener("change", ({ target }) => {
      if (target.files.length) show(target.files[0]);
      target.value = ""; // the same picture may be chosen again
    });
  }
  const drop = byId("drop");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", () => drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) show(event.dataTransfer.files[0]);
  });
  addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData?.files.length) show(clipboardData.files[0]);
  });
}

async function show(file) {
  state.picture = file;
  const preview = byId("preview");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.alt = `The picture to classify: ${file.name}`;
  preview.onload = () => showPreview(true);
  preview.onerror = () => showPreview(false); // not every picture that can be classified can be shown, and vice versa
  await classify();
}

function showPreview(shown) {
  byId("preview").hidden = !shown;
  byId("drop-hint").hidden = shown;
}

/** Classify the present picture with all chosen files, unless another picture comes in between. */
async function classify() {
  if (!state.picture) return;
  const turn = ++state.turn;
  const models = chosenModels();
  const found = [];
  byId("problem").hidden = true;
  say("Classifying…");
  try {
    await state.client.run("classify", { blob: state.picture, models: models.map(({ model }) => model) }, (event) => {
      if (event.event === "classified") found.push(event);
    });
    if (turn === state.turn) showClasses(models, found);
  } catch (error) {
    if (turn === state.turn) complain(error);
  }
}

function showClasses(models, found) {
  byId("no-classes").hidden = true;
  byId("results").replaceChildren(...models.map((model, place) => resultBlock(model, found[place])));
  const text = agreementText(models, found);
  byId("agreement").hidden = !text;
  byId("agreement").textContent = text;
  const [{ labels }] = models;
  const best = found[0].probabilities.indexOf(Math.max(...found[0].probabilities));
  say(`This picture: ${labels[best] ?? `class ${best}`}.`, { spoken: true });
}

/** A message for everybody; `spoken`: for screen readers only, because it can be seen elsewhere. */
function say(text, { spoken = false } = {}) {
  byId("status").textContent = text;
  byId("status").classList.toggle("spoken", spoken);
}

function complain(error) {
  const about = error.kind === "image" ? "This file cannot be classified" : "This page does not work here";
  say("");
  byId("results").replaceChildren();
  byId("agreement").hidden = true;
  byId("no-classes").hidden = false;
  byId("problem").textContent = `${about}: ${error.message}`;
  byId("problem").hidden = false;
}

start().catch(complain);
