"""Suggests a first recipe for a folder of images, with the reasons for its settings."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.data.dataset import Dataset
from edgekit.data.image_properties import ImageProperties, read_properties
from edgekit.data.loading import open_dataset
from edgekit.data.reasons import listing
from edgekit.documents.images import ImageFolderRecord, SuggestedSettings, SuggestionDocument
from edgekit.errors import InputError
from edgekit.recipe import Data, Recipe, parse_yaml, validate
from edgekit.render.text import plural
from edgekit.support.files import write_text
from edgekit.support.os_errors import check_writable
from edgekit.support.paths import expanded
from edgekit.support.progress import SILENT, Progress

_FRACTIONS = {"val": 0.2, "test": 0.2, "gate": 0.1}
"""How much of the images goes into the splits that the folder lacks."""

_SIZES = (96, 128, 160, 192, 224)
_SKEWED = 1.5
_SMALL_CLASS = 100
_ARMS = """\
  # Mixing pairs of images (MixUp, CutMix) can help when there are few. To find out, compare two training variants
  # with everything else equal. This takes twice the time, and needs several seeds.
  # arms:
  #   basic: {}
  #   mixed: {train.mix.mixup.probability: 0.5, train.mix.cutmix.probability: 0.5, train.mix.phases: [fine-tuning]}
"""


def write_recipe(
    folder: Path, recipe: Path, *, overwrite: bool, labels_from: str = "auto", progress: Progress = SILENT
) -> SuggestionDocument:
    """Inspect ``folder`` and write a commented recipe for it.

    Raises :class:`InputError` if the recipe exists and ``overwrite`` is false, and for a folder that cannot be used for
    training.
    """
    check_writable(recipe.absolute().parent, hint="choose another file with -o")
    if recipe.is_dir():
        raise InputError("this is a folder, not a file", where=str(recipe), hint="choose a file with -o")
    if recipe.exists() and not overwrite:
        raise InputError(
            "this file already exists",
            where=str(recipe),
            hint="choose another file with -o, or overwrite it with --force",
        )
    if recipe.is_dir():
        raise InputError("this is a folder, not a file", where=str(recipe), hint=f"use -o {recipe}/recipe.yaml")
    # Damaged images are reported in the recipe; they are no reason not to write one.
    if not (expanded(folder) / labels_from).exists() and Path(labels_from).is_file():
        labels_from = str(Path(labels_from).absolute())
    dataset = open_dataset(Data(path=str(folder), labels_from=labels_from, on_corrupt="skip"), progress=progress)
    facts = read_properties(dataset, progress)
    text = recipe_text(facts, labels_from)
    document, lines = parse_yaml(text, str(recipe))
    suggested = validate(document, str(recipe), lines)
    write_text(recipe, text)
    for note in facts.notes:
        progress.warn(note)
    if facts.unreadable:
        progress.warn(f"{plural(len(facts.unreadable), 'image')} cannot be read:\n{listing(facts.unreadable)}")
    return _document(facts, suggested, recipe)


def recipe_text(facts: ImageProperties, labels_from: str = "auto") -> str:
    """The recipe as YAML, with the reason for every setting as a comment."""
    dataset = facts.dataset
    name = re.sub(r"[^a-z0-9]+", "-", dataset.name.lower()).strip("-") or "images"
    smallest, train = min(facts.class_sizes.values()), sum(facts.class_sizes.values())
    size, resize = _image_size(facts), "pad" if facts.shape_spread > _SKEWED else "stretch"
    balanced = facts.skew > _SKEWED
    return f"""\
# Written by `edgekit init`. Settings that are left out have their defaults; unknown keys are errors.
#   edgekit train THIS_FILE       train one model
#   edgekit compare THIS_FILE     train, export and benchmark all the backbones below on equal terms
#
{_comment(_facts_lines(facts))}
schema_version: 1
name: {_quoted(name)}

data:
  path: {_quoted(str(dataset.root))}{_labels_line(labels_from)}
  # Height and width of the network input in pixels. Half the size takes a quarter of the computation.
  image_size: {size}  # {_why_size(facts, size)}
  # How images become square: stretch, crop (keep the centre) or pad (add black bars).
  resize: {resize}  # {_why_resize(facts)}{_range_lines(facts)}
  # Images that cannot be decoded: stop (list them and end) or skip (leave them out).
  on_corrupt: stop{_split_lines(dataset)}

model:
  backbone: mobilenetv2  # the fastest on a small device; others: resnet50v2, vgg16, resnet50
  alpha: 1.0  # width of mobilenetv2; 0.35 and 0.5 are smaller and faster
  weights: imagenet  # downloaded once; or the path of a weights file, or none (needs many more images)

train:
  # feature-extraction trains only the head, which is fast. fine-tuning then also trains the last layers of the
  # backbone, which is nearly always more accurate.
  strategy: fine-tuning
  seed: 0
  batch_size: {32 if train >= 500 else 16}
  # balanced: every class contributes equally to the loss, however many images it has.
  class_weights: {"balanced" if balanced else "none"}  # largest class / smallest class = {facts.skew:.1f}
  # Use only changes that do not change the label. flip: horizontal helps with most photographs, but not where left
  # and right matter (text, digits, anatomy).
  augment:
    rotation: {15 if smallest < _SMALL_CLASS else 10}
    zoom: {0.15 if smallest < _SMALL_CLASS else 0.1}
    shift: 0.1
    brightness: 0.1
    contrast: 0.1
    flip: none
  feature_extraction:
    epochs: {20 if smallest < _SMALL_CLASS else 10}
    learning_rate: 3.0e-4
  fine_tuning:
    epochs: {20 if smallest < _SMALL_CLASS else 10}
    learning_rate: 1.0e-4
    last_stage: true  # same depth in every backbone; see edgekit list backbones --layers NAME
  early_stopping:
    patience: 5

export:
  files: [tflite-fp32, tflite-int8, onnx-fp32, onnx-int8]
  calibration:
    images: {min(200, train)}  # training images that determine the quantization ranges of int8 files

bench:
  protocol: standard
  threads: [1, 0]  # 0 uses all cores

compare:
  backbones: [mobilenetv2, resnet50v2, vgg16]
  strategies: [feature-extraction, fine-tuning]
  seeds: [0]  # {_why_seeds(facts)}
{_ARMS if smallest < _SMALL_CLASS else ""}"""


def _range_lines(facts: ImageProperties) -> str:
    if not facts.deep.count:
        return ""
    return (
        "\n  # How values of more than 8 bits become 0 to 255: auto (the range that the images use), full (0-65535),\n"
        "  # percentile (each image by itself), or a range of your own, such as 0-4095.\n"
        f"  range: auto  # the images use 0 to {facts.deep.peak:,}, {facts.deep.share:.1%} of 16 bits"
    )


def _labels_line(labels_from: str) -> str:
    return "" if labels_from == "auto" else f"\n  labels_from: {_quoted(labels_from)}"


def _image_size(facts: ImageProperties) -> int:
    median = float(np.median(facts.short_sides))
    return next((size for size in _SIZES if size >= median), _SIZES[-1])


def _why_size(facts: ImageProperties, size: int) -> str:
    median = int(np.median(facts.short_sides))
    if median < size == _SIZES[0]:
        return f"the images have about {median} pixels, but ImageNet weights need at least {size} to work well"
    if median > size:
        return f"the size that ImageNet weights were trained at; the images have about {median} pixels"
    return f"the images have about {median} pixels, so a larger size would only enlarge them"


def _why_resize(facts: ImageProperties) -> str:
    if facts.shape_spread > _SKEWED:
        return "the images have very different shapes; pad keeps the whole image and its aspect ratio"
    return "the images have similar shapes"


def _why_seeds(facts: ImageProperties) -> str:
    if min(facts.class_sizes.values()) < _SMALL_CLASS:
        return "results on few images vary between seeds, so use several: [0, 1, 2]"
    return "several seeds, such as [0, 1, 2], show how much results vary by chance"


def _split_lines(dataset: Dataset) -> str:
    drawn = [split for split in _FRACTIONS if f"{split}: " in dataset.layout]
    if not drawn:
        return ""
    fractions = "".join(f"\n    {split}: {_FRACTIONS[split]:g}" for split in drawn)
    return (
        "\n  # Splits that the folder lacks are drawn at random: stratified, repeatable, exact copies kept together."
        f"\n  split:{fractions}\n    seed: 0"
    )


def _facts_lines(facts: ImageProperties) -> list[str]:
    dataset, counts = facts.dataset, facts.dataset.counts()
    sides = facts.short_sides
    of = f"of {facts.sampled:,} sampled images" if facts.sampled < len(dataset) else "of all images"
    lines = [
        f"{len(dataset):,} images of {len(dataset.classes)} classes in {_quoted(str(dataset.root))}",
        f"layout: {dataset.layout}",
        *(f"{split}: {sum(counts[split].values()):,} images" for split in counts),
        f"training images per class: {_listed(counts['train'])}",
        f"short side in pixels, {of}: {sides[0]} to {sides[-1]}, median {int(np.median(sides))}",
        f"formats: {_listed(facts.formats)}; modes: {_listed(facts.modes)}",
    ]
    if facts.unreadable:
        lines.append(f"{len(facts.unreadable)} {of} cannot be read, for example {next(iter(facts.unreadable))!a}")
    test = sum(counts["test"].values())
    lines.append(
        f"on {test:,} test images, an accuracy of 90% has a 95% interval of about "
        f"+-{100 * _half_width(test):.1f} points, so smaller differences are not significant"
    )
    smallest = min(facts.class_sizes, key=facts.class_sizes.__getitem__)
    if facts.class_sizes[smallest] < _SMALL_CLASS:
        lines.append(
            f"small data: only {facts.class_sizes[smallest]} training images of {_quoted(smallest)}; to notice "
            "overfitting, compare training and validation accuracy"
        )
    return lines


def _half_width(n_images: int) -> float:
    """Half the width of the 95% interval (normal approximation) of an accuracy of 0.9 on ``n_images`` images."""
    return 1.96 * math.sqrt(0.9 * 0.1 / n_images)


def _listed(counts: dict[str, int], most: int = 12) -> str:
    shown = [f"{_quoted(name)} {count:,}" for name, count in list(counts.items())[:most]]
    return ", ".join(shown) + (f" and {len(counts) - most} more" if len(counts) > most else "")


def _comment(lines: Sequence[str]) -> str:
    return "\n".join(f"# {line}" for line in lines)


def _quoted(text: str) -> str:
    """``text`` itself if YAML reads it as a string, otherwise as a JSON string, which YAML reads as well."""
    plain = re.fullmatch(r"[A-Za-z/][\w./-]*", text, flags=re.ASCII)
    reserved = text.lower() in {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
    return text if plain and not reserved else json.dumps(text, ensure_ascii=False)


def _document(facts: ImageProperties, suggested: Recipe, recipe: Path) -> SuggestionDocument:
    dataset, sides = facts.dataset, facts.short_sides
    return SuggestionDocument(
        recipe=str(recipe),
        dataset=ImageFolderRecord(
            name=dataset.name,
            root=str(dataset.root),
            layout=dataset.layout,
            fingerprint=dataset.fingerprint,
            n_images=len(dataset),
            classes=dataset.classes,
            counts=dataset.counts(),
            sampled=facts.sampled,
            short_side_pixels=(sides[0], int(np.median(sides)), sides[-1]),
            formats=facts.formats,
            modes=facts.modes,
            unreadable=facts.unreadable,
        ),
        suggested=SuggestedSettings(
            image_size=suggested.data.image_size,
            resize=suggested.data.resize,
            backbone=suggested.model.backbone,
            weights=suggested.model.weights,
            strategy=suggested.train.strategy,
            class_weights=suggested.train.class_weights,
            batch_size=suggested.train.batch_size,
        ),
    )
