"use strict";
// The page works without this script, except for sorting and for what a large study keeps packed.

// Raw deflate (RFC 1951). DecompressionStream is asynchronous, and printing does not wait.
function inflate(data) {
  let out = new Uint8Array(4 * data.length), end = 0, at = 0, bits = 0, held = 0;
  const room = (more) => {
    if (end + more <= out.length) return;
    const larger = new Uint8Array(2 * (end + more));
    larger.set(out);
    out = larger;
  };
  const read = (count) => {
    while (held < count) { bits |= data[at++] << held; held += 8; }
    const value = bits & ((1 << count) - 1);
    bits >>>= count;
    held -= count;
    return value;
  };
  // Canonical codes: how many there are of each length, and the symbols in the order of their codes.
  const codes = (lengths) => {
    const counts = new Uint16Array(16), places = new Uint16Array(16), symbols = new Uint16Array(lengths.length);
    for (const length of lengths) counts[length] += 1;
    counts[0] = 0;
    for (let i = 1; i < 16; i++) places[i] = places[i - 1] + counts[i - 1];
    lengths.forEach((length, symbol) => { if (length) symbols[places[length]++] = symbol; });
    return { counts, symbols };
  };
  const symbol = ({ counts, symbols }) => {
    let code = 0, first = 0, index = 0;
    for (let length = 1; length < 16; length++) {
      code |= read(1);
      if (code - counts[length] < first) return symbols[index + code - first];
      index += counts[length];
      first = (first + counts[length]) << 1;
      code <<= 1;
    }
    throw new Error("damaged data");
  };
  const steps = (extra, start) => extra.map((count) => (start += 1 << count) - (1 << count));
  const lengthBits = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5];
  const lengthFrom = [...steps(lengthBits, 3), 258], distanceBits = [0, 0, ...Array.from({ length: 28 }, (_, i) => i >> 1)];
  lengthBits.push(0);
  const distanceFrom = steps(distanceBits, 1);
  const fixed = [codes(Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))), codes(Array(30).fill(5))];
  const dynamic = () => {
    const literals = read(5) + 257, distances = read(5) + 1, count = read(4) + 4, order = Array(19).fill(0);
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].slice(0, count).forEach((i) => (order[i] = read(3)));
    const first = codes(order), lengths = [];
    while (lengths.length < literals + distances) {
      const value = symbol(first);
      if (value < 16) lengths.push(value);
      else if (value === 16) lengths.push(...Array(read(2) + 3).fill(lengths[lengths.length - 1]));
      else lengths.push(...Array(value === 17 ? read(3) + 3 : read(7) + 11).fill(0));
    }
    return [codes(lengths.slice(0, literals)), codes(lengths.slice(literals))];
  };
  for (let last = 0; !last; ) {
    last = read(1);
    const kind = read(2);
    if (kind === 0) {
      bits = held = 0;
      const size = data[at] | (data[at + 1] << 8);
      room(size);
      out.set(data.subarray(at + 4, at + 4 + size), end);
      end += size;
      at += 4 + size;
      continue;
    }
    const [literals, distances] = kind === 1 ? fixed : dynamic();
    for (let value; (value = symbol(literals)) !== 256; ) {
      room(258);
      if (value < 256) { out[end++] = value; continue; }
      const size = lengthFrom[value - 257] + read(lengthBits[value - 257]), code = symbol(distances);
      const back = distanceFrom[code] + read(distanceBits[code]);
      for (let i = 0; i < size; i++, end++) out[end] = out[end - back];
    }
  }
  return out.subarray(0, end);
}

const chunks = new Map();
let pictures = null;

function unpacked(place) {
  const [chunk, at] = place.split(" ");
  if (!chunks.has(chunk)) {
    const text = atob(document.getElementById(`packed-${chunk}`).textContent);
    const data = inflate(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
    chunks.set(chunk, JSON.parse(new TextDecoder().decode(data)));
  }
  return chunks.get(chunk)[at];
}

function showPictures(root) {
  for (const image of root.querySelectorAll("img[data-picture]")) {
    pictures ??= JSON.parse(document.getElementById("pictures").textContent);
    image.src = `data:image/jpeg;base64,${pictures[image.dataset.picture]}`;
    image.removeAttribute("data-picture");
  }
}

// What an element keeps packed: the inside of details, or the other rows of a table above its button.
function unpack(element) {
  const place = element.dataset.packed;
  if (place === undefined) return;
  if (element.tagName === "BUTTON") {
    const table = element.closest(".more").previousElementSibling.querySelector("table");
    table.tBodies[0].insertAdjacentHTML("beforeend", unpacked(place));
    showPictures(table);
    element.closest(".more").remove();
  } else {
    element.removeAttribute("data-packed");
    element.innerHTML = unpacked(place);
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

function sort(heading) {
  const table = heading.closest("table");
  table.closest(".scroll")?.nextElementSibling?.querySelectorAll(":scope > button[data-packed]").forEach(unpack);
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
