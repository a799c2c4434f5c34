/** How values of more than 8 bits become 0 to 255, as in edgekit's decoder. */

/**
 * The 8-bit value of each stored value. `counts[v]`: how many pixels have it; values are `step` apart on the 16-bit
 * scale. `range`: "full", "percentile" or "LOW-HIGH".
 */
export function rangeTable(counts, range, step) {
  const [low, high] = range === "percentile" ? percentiles(counts, step) : limits(range);
  const span = high - low;
  const table = new Uint8Array(counts.length);
  for (let value = 0; value < counts.length; value++) {
    const scaled = Math.floor((2 * 255 * (value * step - low) + span) / (2 * span));
    table[value] = Math.min(255, Math.max(0, scaled));
  }
  return table;
}

function limits(range) {
  return range === "full" ? [0, 65535] : range.split("-").map(Number);
}

/** The values below which 0.5 % and 99.5 % of the pixels are. */
function percentiles(counts, step) {
  let total = 0;
  for (const count of counts) total += count;
  const first = (limit) => {
    let below = 0;
    for (let value = 0; value < counts.length; value++) {
      below += counts[value];
      if (200 * below >= limit) return value;
    }
    return counts.length - 1;
  };
  const low = first(total) * step;
  return [low, Math.max(first(199 * total) * step, low + 1)];
}
