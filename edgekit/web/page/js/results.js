/** The classes of a picture, a block for each exported file. */
import { element, megabytes, milliseconds } from "./elements.js";

const SHOWN = 5;

/** The block for one file. `found`: the event `classified` of worker.js. */
export function resultBlock(pageModel, found) {
  const { result, labels, model } = pageModel;
  const times = `decoded in ${milliseconds(found.decode_ms)}, classified in ${milliseconds(found.run_ms)}`;
  const head = element(
    "div",
    { class: "model-head" },
    seenByModel(model.input, found.pixels),
    element(
      "div",
      {},
      element("h3", {}, `${result.scheme} (${megabytes(result.size_bytes)})`),
      element("p", { class: "muted" }, times),
    ),
  );
  const best = ranked(found.probabilities).slice(0, SHOWN);
  const list = element("ol", { class: "classes", "aria-label": `Classes by ${result.scheme}` });
  for (const { place, probability } of best) list.append(classItem(labels[place] ?? `class ${place}`, probability));
  return element("article", { "data-key": model.key }, head, list);
}

const ranked = (probabilities) =>
  Array.from(probabilities, (probability, place) => ({ place, probability })).sort(
    (a, b) => b.probability - a.probability,
  );

function classItem(label, probability) {
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  bar.style.width = `${100 * probability}%`;
  const percent = element("span", { class: "number" }, `${(100 * probability).toFixed(1)} %`);
  return element("li", {}, bar, element("span", {}, label), percent);
}

/** The pixels that the model got, as a small picture. */
function seenByModel({ width, height, channels }, pixels) {
  const canvas = element("canvas", {
    width,
    height,
    role: "img",
    "aria-label": `The picture as the model sees it, ${width} x ${height} pixels`,
  });
  const data = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++)
      data.data[4 * i + channel] = pixels[channels * i + (channels === 3 ? channel : 0)];
    data.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
  return canvas;
}

/** Whether the files agree on a picture, in words; "" for one file. */
export function agreementText(models, events) {
  if (events.length < 2) return "";
  const names = events.map(({ key, probabilities }) => {
    const { labels } = models.find(({ model }) => model.key === key);
    return labels[ranked(probabilities)[0].place];
  });
  if (new Set(names).size > 1) return "The files disagree on this picture.";
  return `${names.length === 2 ? "Both" : "All"} files say ${names[0]}.`;
}
