"""ONNX Runtime Web: the files that a page needs of it, downloaded once and kept in edgekit's cache."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from edgekit.errors import EdgekitError, InputError
from edgekit.support.files import write_bytes
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress
from edgekit.web.npm_registry import download

PACKAGE = "onnxruntime-web"

VERSION = "1.22.0"
"""The newest version whose WebAssembly leaves a page with an int8 MobileNetV2 well below 15 MB."""

INTEGRITY = "sha512-Ud/+EBo6mhuaQWt/OjaOk0iNWjXqJoeeMFr6xQEERZdIZH2OWpGzuujz7lfuOBjUa6TEE/sc4nb7Da5dNL34fg=="

FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The part for CPUs: WebAssembly with SIMD, which works with one thread on any server."""

LICENSE = f"""\
The other files in this folder are an unchanged part of the npm package {PACKAGE} {VERSION}
(https://github.com/microsoft/onnxruntime).

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

OFFLINE_HINT = (
    f"once, on a machine with internet, run `npm pack {PACKAGE}@{VERSION}`, unpack the file "
    "(`tar xzf`), and pass its folder here: --runtime-dir package"
)


def runtime_files(cache: Path, given: Path | None = None, progress: Progress = SILENT) -> dict[str, Path]:
    """The files of the runtime by name, from the folder ``given`` or from ``cache``, which is filled if needed.

    ``given`` may be the unpacked package, its ``dist`` folder, or ``node_modules`` with the package in it. Raises
    :class:`InputError` if it lacks a file, and :class:`EdgekitError` if the package cannot be downloaded.
    """
    if given is not None:
        return _in_folder(expanded(given))
    folder = cache / "web" / f"{PACKAGE}-{VERSION}"
    found = {name: folder / name for name in FILES}
    if not all(path.is_file() for path in found.values()):
        progress.info(f"downloading {PACKAGE} {VERSION} from the npm registry (20 MB, once)")
        for name, content in _unpacked(download(PACKAGE, VERSION, INTEGRITY, offline_hint=OFFLINE_HINT)).items():
            write_bytes(folder / name, content)
    return found


def _in_folder(folder: Path) -> dict[str, Path]:
    places = (folder, folder / "dist", folder / PACKAGE / "dist", folder / "package" / "dist")
    for place in places:
        if all((place / name).is_file() for name in FILES):
            return {name: place / name for name in FILES}
    raise InputError(
        f"this folder does not contain {PACKAGE} ({', '.join(FILES)})", where=str(folder), hint=OFFLINE_HINT
    )


def _unpacked(archive: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as packed:
        for name in FILES:
            try:
                member = packed.extractfile(f"package/dist/{name}")
            except KeyError:
                member = None
            if member is None:
                raise EdgekitError(f"{PACKAGE} {VERSION} lacks the file {name}")
            found[name] = member.read()
    return found
