"""Exported files in a browser: the page that anyone can open, and the Chromium that `edgekit bench` measures in."""
