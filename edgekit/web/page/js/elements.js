/** Small helpers for the page's elements. */

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children (elements or texts). */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** A duration with three digits that count. */
export const milliseconds = (ms) => `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;
