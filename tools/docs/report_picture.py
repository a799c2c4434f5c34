"""Write a picture of a report, or of some of its sections, with headless Chromium. Few colours keep the file small.

Example: python tools/docs/report_picture.py quickstart/report/report.html docs/images/report.png --sections front
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def main() -> int:
    """Parse the arguments, take the picture; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.html, or any other page")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--width", type=int, default=1100, help="of the window, in pixels (default: 1100)")
    parser.add_argument("--height", type=int, default=1000, help="of the window, in pixels (default: 1000)")
    parser.add_argument("--sections", default="", help="ids of the sections to show, e.g. verdict,front (default: all)")
    parser.add_argument("--colours", type=int, default=64, help="in the picture (default: 64)")
    arguments = parser.parse_args()
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        sys.stderr.write(f"error: no browser was found\nhint: install one of {', '.join(BROWSERS)}\n")
        return 1
    if not arguments.report.is_file():
        sys.stderr.write(f"error: no such file: {arguments.report}\nhint: run `make quickstart` first\n")
        return 2
    sections = [name for name in arguments.sections.split(",") if name]
    page = with_sections(arguments.report.read_text(encoding="utf-8"), sections)
    take(browser, page, arguments.picture, (arguments.width, arguments.height), arguments.colours)
    sys.stdout.write(f"wrote {arguments.picture} ({arguments.picture.stat().st_size / 1000:.0f} kB)\n")
    return 0


def with_sections(page: str, sections: list[str]) -> str:
    """The HTML page with only these sections of ``main``, without its header; the whole page if none is named."""
    if not sections:
        return page
    hidden = "main > section" + "".join(f":not(#{name})" for name in sections)
    style = f"<style>{hidden}, header, footer {{display: none}}</style>"
    return page.replace("</head>", style + "</head>", 1)


def take(browser: str, page: str, picture: Path, window: tuple[int, int], colours: int) -> None:
    """Show ``page`` in a window of ``window`` pixels (width, height) and save what is there, without an empty end."""
    with tempfile.TemporaryDirectory() as folder:
        source, raw = Path(folder) / "page.html", Path(folder) / "raw.png"
        source.write_text(page, encoding="utf-8")
        command = [
            browser,
            *FLAGS,
            f"--user-data-dir={folder}/profile",
            f"--window-size={window[0]},{window[1]}",
            f"--screenshot={raw}",
            source.as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        with Image.open(raw) as opened:
            image = opened.convert("RGB")
        picture.parent.mkdir(parents=True, exist_ok=True)
        _without_empty_end(image).quantize(colours, dither=Image.Dither.NONE).save(picture, optimize=True)


def _without_empty_end(image: Image.Image, margin: int = 20) -> Image.Image:
    background = Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))
    box = ImageChops.difference(image, background).getbbox()
    return image if box is None else image.crop((0, 0, image.width, min(image.height, box[3] + margin)))


if __name__ == "__main__":
    sys.exit(main())
