"""A first recipe for a folder of images: the facts of the folder and the settings that follow from them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.dataset import SPLITS, Dataset
from edgekit.data.image_properties import Facts, look
from edgekit.data.loading import listing, open_dataset
from edgekit.errors import InputError
from edgekit.recipe import Data, Recipe, parse_yaml, validate
from edgekit.support.files import write_text
from edgekit.support.progress import SILENT, Progress

_SIZES = (96, 128, 160, 192, 224)
_SKEWED = 1.5
_SMALL_CLASS = 100
_ARMS = """\
  # Does it help here to mix pairs of images (MixUp, CutMix)? With few images it may. Two ways of training, all else
  # equal, tell; they take twice the time and need several seeds.
  # arms:
  #   basic: {}
  #   mixed: {train.mix.mixup.probability: 0.5, train.mix.cutmix.probability: 0.5, train.mix.phases: [fine-tuning]}
"""


def write_recipe(folder: Path, recipe: Path, *, overwrite: bool, progress: Progress = SILENT) -> dict[str, Any]:
    """Look at ``folder`` and write a commented recipe for it; gives what was found as a JSON-ready document.

    Raises :class:`InputError` where the recipe exists and ``overwrite`` is false, and for a folder that cannot be
    trained on.
    """
    if recipe.exists() and not overwrite:
        raise InputError("this file exists", where=str(recipe), hint="choose another with -o, or give --force")
    if recipe.is_dir():
        raise InputError("this is a folder, a recipe is a file", where=str(recipe), hint=f"-o {recipe}/recipe.yaml")
    # Damaged files are told in the recipe; that is no reason to write none.
    dataset = open_dataset(Data(path=str(folder), on_corrupt="skip"), progress=progress)
    facts = look(dataset, progress)
    text = recipe_text(facts)
    suggested = validate(*_parsed(text, str(recipe)))
    write_text(recipe, text)
    if facts.unreadable:
        progress.warn(f"{len(facts.unreadable)} images cannot be read:\n{listing(facts.unreadable)}")
    return _document(facts, suggested, recipe)


def recipe_text(facts: Facts) -> str:
    """The recipe as YAML with the reason of every choice beside it."""
    dataset = facts.dataset
    name = re.sub(r"[^a-z0-9]+", "-", dataset.name.lower()).strip("-") or "images"
    smallest, train = min(facts.class_sizes.values()), sum(facts.class_sizes.values())
    size, resize = _image_size(facts), "pad" if facts.shape_spread > _SKEWED else "stretch"
    balanced = facts.skew > _SKEWED
    return f"""\
# Made by `edgekit init`. Every setting that is not here has its default; unknown keys are refused.
#   edgekit train THIS_FILE       one model
#   edgekit compare THIS_FILE     all the backbones below, trained, exported and measured alike
#
{_comment(_facts_lines(facts))}
schema_version: 1
name: {_quoted(name)}

data:
  path: {_quoted(str(dataset.root))}
  # Side in pixels of the square the network sees. Half the side is a quarter of the computation.
  image_size: {size}  # {_why_size(facts, size)}
  # stretch | crop (centre square) | pad (black bars)
  resize: {resize}  # {_why_resize(facts)}
  # stop: a damaged image ends the run and all of them are listed; skip: they are left out
  on_corrupt: stop{_split_lines(dataset)}

model:
  backbone: mobilenetv2  # the fastest on a small device; also resnet50v2, vgg16, resnet50
  alpha: 1.0  # width of mobilenetv2; 0.35 and 0.5 are smaller and faster still
  weights: imagenet  # downloaded once; or the path of a weights file, or none (needs many more images)

train:
  # feature-extraction trains the head alone and is fast; fine-tuning goes on with the last layers of the backbone
  # and is nearly always better.
  strategy: fine-tuning
  seed: 0
  batch_size: {32 if train >= 500 else 16}
  # balanced: an error on a rare class counts as much as one on a common class
  class_weights: {"balanced" if balanced else "none"}  # largest class / smallest class = {facts.skew:.1f}
  # Only changes that leave the label true. flip: horizontal helps with most photographs; not where left and right
  # mean something (text, digits, anatomy).
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
    last_layers: 30
  early_stopping:
    patience: 5

export:
  files: [tflite-fp32, tflite-int8, onnx-fp32, onnx-int8]
  calibration:
    images: {min(200, train)}  # training images that show the int8 converters the range of values

bench:
  protocol: standard
  threads: [1, 0]  # 0: all cores

compare:
  backbones: [mobilenetv2, resnet50v2, vgg16]
  strategies: [feature-extraction, fine-tuning]
  seeds: [0]  # {_why_seeds(facts)}
{_ARMS if smallest < _SMALL_CLASS else ""}"""


def _image_size(facts: Facts) -> int:
    median = float(np.median(facts.short_sides))
    return next((size for size in _SIZES if size >= median), _SIZES[-1])


def _why_size(facts: Facts, size: int) -> str:
    median = int(np.median(facts.short_sides))
    if median < size == _SIZES[0]:
        return f"the images have about {median}; ImageNet weights work badly below {size}"
    if median > size:
        return f"what ImageNet weights were trained at; the images have about {median}"
    return f"the images have about {median}: more would only enlarge them"


def _why_resize(facts: Facts) -> str:
    if facts.shape_spread > _SKEWED:
        return "the images have very different shapes; pad keeps the whole image and its proportions"
    return "the images have about the same shape"


def _why_seeds(facts: Facts) -> str:
    if min(facts.class_sizes.values()) < _SMALL_CLASS:
        return "few images: add seeds, [0, 1, 2], the results of small data vary from one to the next"
    return "more seeds, [0, 1, 2], show how much of a difference is chance"


def _split_lines(dataset: Dataset) -> str:
    drawn = [split for split in ("val", "test") if f"{split}: " in dataset.layout]
    if not drawn:
        return ""
    fractions = "".join(f"\n    {split}: 0.2" for split in drawn)
    return (
        "\n  # What the folder lacks is drawn: by class, repeatable, copies of an image kept together."
        f"\n  split:{fractions}\n    seed: 0"
    )


def _facts_lines(facts: Facts) -> list[str]:
    dataset, counts = facts.dataset, facts.dataset.counts()
    sides = facts.short_sides
    of = f"of {facts.sampled:,} sampled images" if facts.sampled < len(dataset) else "of all images"
    lines = [
        f"{len(dataset):,} images of {len(dataset.classes)} classes in {_quoted(str(dataset.root))}",
        f"layout: {dataset.layout}",
        *(f"{split}: {sum(counts[split].values()):,} images" for split in SPLITS),
        f"training images per class: {_listed(counts['train'])}",
        f"short side in pixels, {of}: {sides[0]} to {sides[-1]}, median {int(np.median(sides))}",
        f"formats: {_listed(facts.formats)}; modes: {_listed(facts.modes)}",
    ]
    if facts.unreadable:
        lines.append(f"{len(facts.unreadable)} {of} cannot be read, the first: {next(iter(facts.unreadable))!a}")
    test = sum(counts["test"].values())
    lines.append(
        f"an accuracy of 90% measured on {test:,} test images is known to about "
        f"+-{100 * _half_width(test):.1f} points (95%): smaller differences prove nothing"
    )
    smallest = min(facts.class_sizes, key=facts.class_sizes.__getitem__)
    if facts.class_sizes[smallest] < _SMALL_CLASS:
        lines.append(
            f"small data: {facts.class_sizes[smallest]} training images of {_quoted(smallest)}; expect overfitting, "
            "compare training with validation accuracy"
        )
    return lines


def _half_width(count: int) -> float:
    """Half the 95% interval (normal approximation) of an accuracy of 0.9 over ``count`` images."""
    return 1.96 * math.sqrt(0.9 * 0.1 / count)


def _listed(counts: dict[str, int], most: int = 12) -> str:
    shown = [f"{_quoted(name)} {count:,}" for name, count in list(counts.items())[:most]]
    return ", ".join(shown) + (f" and {len(counts) - most} more" if len(counts) > most else "")


def _comment(lines: Sequence[str]) -> str:
    return "\n".join(f"# {line}" for line in lines)


def _quoted(text: str) -> str:
    """``text`` as it is where that is plain, otherwise as a JSON string, which YAML reads as well."""
    plain = re.fullmatch(r"[A-Za-z/][\w./-]*", text, flags=re.ASCII)
    reserved = text.lower() in {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
    return text if plain and not reserved else json.dumps(text, ensure_ascii=False)


def _parsed(text: str, origin: str) -> tuple[dict[str, Any], str, dict[tuple[str, ...], int]]:
    document, lines = parse_yaml(text, origin)
    return document, origin, lines


def _document(facts: Facts, suggested: Recipe, recipe: Path) -> dict[str, Any]:
    dataset = facts.dataset
    return {
        "recipe": str(recipe),
        "dataset": {
            "name": dataset.name,
            "root": str(dataset.root),
            "layout": dataset.layout,
            "fingerprint": dataset.fingerprint,
            "n_images": len(dataset),
            "classes": list(dataset.classes),
            "counts": dataset.counts(),
            "sampled": facts.sampled,
            "short_side_pixels": [facts.short_sides[0], int(np.median(facts.short_sides)), facts.short_sides[-1]],
            "formats": facts.formats,
            "modes": facts.modes,
            "unreadable": facts.unreadable,
        },
        "suggested": {
            "image_size": suggested.data.image_size,
            "resize": suggested.data.resize,
            "backbone": suggested.model.backbone,
            "weights": suggested.model.weights,
            "strategy": suggested.train.strategy,
            "class_weights": suggested.train.class_weights,
            "batch_size": suggested.train.batch_size,
        },
    }
