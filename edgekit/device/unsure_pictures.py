"""Pictures that the model is unsure about, kept for labelling within a limit of bytes.

Only files whose names this module wrote are counted or removed. Whatever else is in the folder stays.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from pathlib import Path

import numpy as np
from PIL import Image

from .failures import StorageError

FOLDER = "unsure"
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z_p\d\.\d\d_[A-Za-z0-9.-]{1,40}\.jpg")
"""Time (UTC), probability of the top class, and its name."""

LEAST_FREE_BYTES = 200_000_000
"""Nothing is kept while the disk has less free space than this."""

EVERY_S = 2.0
ALIKE = 4.0
"""Mean absolute difference of two pictures, 16 x 16 and grey (0 to 255), below which they are the same scene."""


class UnsurePictures:
    """The folder ``folder`` with at most ``most_bytes`` of pictures; the oldest make room for new ones."""

    def __init__(self, folder: Path, most_bytes: int, below: float) -> None:
        self.folder = folder
        self.most_bytes = most_bytes
        self.below = below
        folder.mkdir(mode=0o700, exist_ok=True)
        for part in folder.glob("*.jpg.part"):
            if NAME.fullmatch(part.name[: -len(".part")]):
                part.unlink()
        self._sizes = self._found()
        self._last: np.ndarray | None = None
        self._last_s = -EVERY_S

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def bytes(self) -> int:
        """What the kept pictures take together."""
        return sum(self._sizes.values())

    def offer(self, frame: np.ndarray, label: str, probability: float) -> Path | None:
        """Keep ``frame`` uint8 (H, W, 3) if the model is unsure about it and it shows something new.

        Returns the new file. Raises :class:`StorageError` if it cannot be written for another reason than a full disk.
        """
        if probability >= self.below or time.monotonic() - self._last_s < EVERY_S:
            return None
        image = Image.fromarray(frame)
        scene = np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), np.float32)
        if self._last is not None and np.abs(scene - self._last).mean() < ALIKE:
            return None
        try:
            if shutil.disk_usage(self.folder).free < LEAST_FREE_BYTES:
                return None
            path = self._written(image, label, probability)
        except FileNotFoundError:
            return None  # the deployment is being replaced right now
        except OSError as error:
            raise StorageError(error.strerror or str(error), str(self.folder)) from None
        self._last, self._last_s = scene, time.monotonic()
        self._sizes = self._found()  # a person may have moved some away
        self._make_room()
        return path if path.name in self._sizes else None

    def _written(self, image: Image.Image, label: str, probability: float) -> Path:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        plain = re.sub(r"[^A-Za-z0-9.-]+", "-", label)[:40].strip(".-") or "class"
        path = self.folder / f"{stamp}_p{probability:.2f}_{plain}.jpg"
        part = path.with_name(f"{path.name}.part")
        image.save(part, "JPEG", quality=95)
        part.replace(path)
        return path

    def _found(self) -> dict[str, int]:
        """The kept pictures and their sizes in bytes."""
        return {
            path.name: path.stat().st_size
            for path in self.folder.iterdir()
            if NAME.fullmatch(path.name) and path.is_file()
        }

    def _make_room(self) -> None:
        """Remove the oldest pictures while all together exceed the limit."""
        total = self.bytes
        for name in sorted(self._sizes):
            if total <= self.most_bytes:
                return
            with contextlib.suppress(FileNotFoundError):  # a person has moved it away
                (self.folder / name).unlink()
            total -= self._sizes.pop(name)
