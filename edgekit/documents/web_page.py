"""``page.json``: the models of a web page, and how pictures reach them."""

from __future__ import annotations

from typing import Literal

from edgekit.documents.base import Document, FileName, InnerPath, Part
from edgekit.documents.bench import BenchDocument
from edgekit.documents.latency import ProtocolRecord
from edgekit.documents.preprocessing import ScalingRecord


class WebInput(Part):
    """The image input of a model."""

    name: str
    dtype: Literal["uint8", "float32"]
    layout: Literal["NHWC", "NCHW"]
    height: int
    width: int
    channels: int
    """3: RGB, 1: grey."""
    batch: int
    """Images of one run; the picture is repeated in a batch above 1."""


class WebOutput(Part):
    """The scores of a model."""

    name: str
    operator: str
    """What computes them: ``softmax``, ``sigmoid``, ``scores`` (logits), or empty where that is not known."""
    classes: int | None
    """``null``: the file does not say."""


class WebModel(Part):
    """One exported file, as the page's program opens it."""

    key: str
    input: WebInput
    output: WebOutput
    resize: str
    filter: str
    range: str
    """How values of more than 8 bits become 0 to 255."""
    pillow: int
    """Major version of the Pillow that made the page, whose resized pixels the page reproduces."""
    scaling: ScalingRecord | None
    """``null``: the input takes pixels as they are."""
    activation: str
    """What makes probabilities of the output: ``softmax``, ``sigmoid``, ``none`` or ``auto``."""


class WebPageModel(Part):
    """One exported file of a page."""

    model: WebModel
    file: InnerPath
    """Path in the page's folder."""
    labels: tuple[str, ...]
    result: BenchDocument
    """What is known of the file before it is measured; the page fills in the rest."""


class WebPage(Document):
    """``page.json``, which the page reads when it opens."""

    title: str
    models: tuple[WebPageModel, ...]
    """The first one classifies pictures as soon as the page opens."""
    protocols: tuple[ProtocolRecord, ...]
    """How long the page may measure."""


class WebPageFile(Part):
    """One exported file in a page."""

    key: FileName
    size_bytes: int


class WebPageReport(Document):
    """What `edgekit deploy --target web --json` prints."""

    folder: str
    files: tuple[WebPageFile, ...]
    size_bytes: int
    """Size of the whole folder."""
    checked_in: str | None
    """The browser in which the golden outputs were checked; ``null`` if none was found on this machine."""
    problems: tuple[str, ...]
    """Why a file failed its check; empty if none did."""
