// Opened as a file, a page may not load its own program. This script is no module, so that it can say so.
if (location.protocol === "file:") {
  document.getElementById("status").hidden = true;
  const problem = document.getElementById("problem");
  problem.hidden = false;
  problem.textContent =
    "This page has to come from a web server. Run `python3 -m http.server` in its folder, and open http://localhost:8000.";
}
