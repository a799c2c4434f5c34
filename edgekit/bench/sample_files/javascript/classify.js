#!/usr/bin/env node
// Classify images: node classify.js IMAGE ...
import { Classifier } from "./classifier.js";

const paths = process.argv.slice(2);
if (paths.length === 0) {
  console.error("usage: node classify.js IMAGE ...");
  process.exit(2);
}
const classifier = await Classifier.open();
for (const path of paths) {
  try {
    const top = (await classifier.classify(path)).sort((a, b) => b.probability - a.probability).slice(0, 3);
    console.log([path, ...top.map(({ label, probability }) => `${label} ${(100 * probability).toFixed(2)}%`)].join("  "));
  } catch (error) {
    console.error(`error: ${path}: ${error.message}`);
    process.exit(1);
  }
}
