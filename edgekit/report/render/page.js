"use strict";
// The page works without this script, except for sorting and for what a large study keeps packed.

const chunks = new Map();
let pictures = null;

// A promise of the parts that were compressed together.
function unpacked(chunk) {
  if (!chunks.has(chunk)) {
    const text = atob(document.getElementById(`packed-${chunk}`).textContent);
    const data = new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))]);
    chunks.set(chunk, new Response(data.stream().pipeThrough(new DecompressionStream("deflate"))).json());
  }
  return chunks.get(chunk);
}

function showPictures(root) {
  for (const image of root.querySelectorAll("img[data-picture]")) {
    pictures ??= JSON.parse(document.getElementById("pictures").textContent);
    image.src = `data:image/jpeg;base64,${pictures[image.dataset.picture]}`;
    image.removeAttribute("data-picture");
  }
}

// What an element keeps packed: the inside of details, or the other rows of a table above its button.
async function unpack(element) {
  if (element.dataset.packed === undefined) return;
  if (!("DecompressionStream" in window)) {
    element.textContent = "Browsers from before 2023 cannot show this. It is also in report.json.";
    return;
  }
  const [chunk, at] = element.dataset.packed.split(" ");
  const html = (await unpacked(chunk))[at];
  if (element.dataset.packed === undefined) return; // by another call meanwhile
  element.removeAttribute("data-packed");
  if (element.tagName === "BUTTON") {
    const table = element.closest(".more").previousElementSibling.querySelector("table");
    table.tBodies[0].insertAdjacentHTML("beforeend", html);
    showPictures(table);
    element.closest(".more").remove();
  } else {
    element.innerHTML = html;
    showPictures(element);
    element.querySelectorAll("details[open]").forEach(unfold);
  }
}

function unfold(details) {
  details.querySelectorAll(":scope > [data-packed]").forEach(unpack);
  showPictures(details);
}

showPictures(document);
document.querySelectorAll("details[open]").forEach(unfold);
addEventListener("toggle", (event) => { if (event.target.open) unfold(event.target); }, true);

addEventListener("click", (event) => {
  const more = event.target.closest(".more button");
  if (more) unpack(more);
  const button = event.target.closest("table.sortable th button");
  if (button) sort(button.closest("th"));
});

async function sort(heading) {
  const table = heading.closest("table");
  const more = table.closest(".scroll")?.nextElementSibling?.querySelectorAll(":scope > button[data-packed]") ?? [];
  if (more.length) await Promise.all([...more].map(unpack));
  const up = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = table.tBodies[0], at = heading.cellIndex;
  const rows = [...body.rows].map((row) => [row.cells[at].dataset.v ?? "", row]);
  rows.sort(([x], [y]) => {
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return up ? order : -order;
  });
  body.append(...rows.map(([, row]) => row));
}

// A link to something folded opens it.
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const inside = target.querySelector(":scope > details") ?? target;
  for (let element = inside; element; element = element.parentElement) if (element.tagName === "DETAILS") element.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();

// Everything folded is printed, unless it is packed: a thousand runs would be thousands of sheets.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) {
    if (!details.querySelector(":scope > [data-packed]")) details.open = true;
  }
});
