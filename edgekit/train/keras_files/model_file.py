"""Opens the Keras model in a ``.keras`` or ``.h5`` file or a SavedModel folder, without running code from it."""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import InputError
from edgekit.support.quiet import quiet_native_output
from edgekit.train.keras_files.config_check import MODELS, Config, check_config
from edgekit.train.keras_files.keras2 import translate

MOST_CONFIG_BYTES = 50_000_000
"""Larger configurations are refused; that of NASNetLarge takes less than 2 MB."""

FileKind = Literal["keras", "h5", "savedmodel"]

HINT = "save the whole classifier again with model.save('model.keras')"


@dataclass(frozen=True)
class OpenedModel:
    """A Keras model from a file. ``format`` is ``keras``, ``h5`` or ``savedmodel``."""

    model: Any
    format: FileKind
    keras_version: str
    """Of the Keras that saved it; ``unknown`` if the file does not say."""


def open_keras_model(path: Path) -> OpenedModel:
    """The model in ``path``, built from layers of Keras only.

    Raises :class:`InputError` if it is no Keras model, contains code or custom layers, or cannot be built.
    """
    kind = file_kind(path)
    with quiet_native_output():
        if kind == "savedmodel":
            from edgekit.train.keras_files.saved_model import load_variables, read_saved_model

            root, version = read_saved_model(path)
            model = _build(root, version, path)
            load_variables(model, path)
        elif kind == "keras":
            root, version = _read_keras_config(path)
            model = _build(root, version, path)
            _load_keras_weights(model, path)
        else:
            root, version = _read_h5_config(path)
            model = _build(root, version, path)
            _load_h5_weights(model, path)
    return OpenedModel(model, kind, version)


def file_kind(path: Path) -> FileKind:
    """``keras``, ``h5`` or ``savedmodel``, by the content of ``path``; :class:`InputError` for anything else."""
    if not path.exists():
        raise InputError(
            "this model does not exist", where=str(path), hint="give a .keras or .h5 file, or a SavedModel folder"
        )
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "savedmodel"
        if (path / "run.json").is_file():
            raise InputError("this is a run folder already", where=str(path), hint=f"export it: edgekit export {path}")
        raise InputError(
            "this folder is not a SavedModel: it has no saved_model.pb",
            where=str(path),
            hint="give a .keras or .h5 file, or a SavedModel folder",
        )
    with path.open("rb") as stream:
        start = stream.read(8)
    if start.startswith(b"PK"):
        return "keras"
    if start == b"\x89HDF\r\n\x1a\n":
        return "h5"
    if path.suffix.lower() in (".tflite", ".onnx"):
        raise InputError(
            f"a {path.suffix.lower()} file is an exported file already, so there is nothing to import",
            where=str(path),
            hint=f"measure it: edgekit bench {path} --data DIR",
        )
    if path.suffix.lower() == ".pb":
        raise InputError(
            "this file is a part of a SavedModel",
            where=str(path),
            hint=f"give its folder: edgekit import {path.parent}",
        )
    raise InputError(
        "this file is not a Keras model", where=str(path), hint="give a .keras or .h5 file, or a SavedModel folder"
    )


def _build(root: Config, version: str, path: Path) -> Any:
    import keras

    if root.get("class_name") not in MODELS:
        raise InputError(
            f"this model is of the class {root.get('class_name')}, whose code is not in the file",
            where=str(path),
            hint="rebuild it as a keras.Sequential or a functional keras.Model, copy the weights, and save it again",
        )
    check_config(root, path)
    try:
        return keras.saving.deserialize_keras_object(translate(root, version), safe_mode=True)
    except InputError as error:
        raise InputError(error.problem, where=error.where or str(path), hint=error.hint) from None
    except Exception as error:  # whatever the constructors of layers raise
        raise InputError(
            f"Keras cannot build this model (saved by Keras {version}): {_short(error)}", where=str(path), hint=HINT
        ) from error


def _read_keras_config(path: Path) -> tuple[Config, str]:
    damaged = InputError("this .keras file is damaged", where=str(path), hint="copy it again from where it was made")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names or "model.weights.h5" not in names:
                raise InputError(
                    "this zip file is not a Keras model: it lacks config.json or model.weights.h5",
                    where=str(path),
                    hint=HINT,
                )
            if archive.getinfo("config.json").file_size > MOST_CONFIG_BYTES:
                raise damaged
            root = json.loads(archive.read("config.json"))
            about = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise damaged from error
    if not isinstance(root, dict) or not isinstance(about, dict):
        raise damaged
    return root, str(about.get("keras_version", "unknown"))


def _load_keras_weights(model: Any, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder, zipfile.ZipFile(path) as archive:
        try:
            archive.extract("model.weights.h5", folder)
            model.load_weights(Path(folder) / "model.weights.h5")
        except Exception as error:  # zip, HDF5 and Keras raise their own errors
            raise _weights_error(path, error) from error


def _read_h5_config(path: Path) -> tuple[Config, str]:
    import h5py

    try:
        with h5py.File(path) as file:
            text, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "unknown")
            root = None if text is None else json.loads(_text(text))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            "this HDF5 file is damaged", where=str(path), hint="copy it again from where it was made"
        ) from error
    if not isinstance(root, dict):
        raise InputError(
            "this HDF5 file contains weights without the model that they belong to",
            where=str(path),
            hint=HINT + ", or train from these weights with --weights",
        )
    return root, _text(version)


def _load_h5_weights(model: Any, path: Path) -> None:
    """Weights by the names of their layers where all are found, else in the order of Keras.

    The order depends on which layers were frozen when the file was saved, the names do not.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            found = _by_name(model, file["model_weights"])
        if found is None:
            model.load_weights(path)
        else:
            for variable, value in found:
                variable.assign(value)
            for layer in _leaves(model):
                if hasattr(layer, "finalize_state"):  # Normalization computes its factors once
                    layer.finalize_state()
    except Exception as error:  # HDF5 and Keras raise their own errors
        raise _weights_error(path, error) from error


def _by_name(model: Any, group: Any) -> list[tuple[Any, NDArray[Any]]] | None:
    """Each variable with its value; None if the names do not tell which belongs to which."""
    pairs: list[tuple[Any, NDArray[Any]]] = []
    places = {_text(name).replace("/", "_"): name for name in group.attrs["layer_names"]}
    for layer in model.layers:
        leaves = {leaf.name: leaf for leaf in _leaves(layer)}
        wanted = [variable for leaf in leaves.values() for variable in leaf.weights]
        if not wanted:
            continue
        if layer.name not in places:
            return None
        stored = group[places[layer.name]]
        names = [_text(name) for name in stored.attrs["weight_names"]]
        values = {_leaf_and_variable(name, leaves): stored[name] for name in names}
        for leaf in leaves.values():
            for variable in leaf.weights:
                # A DepthwiseConv2D of Keras 2 has a depthwise_kernel.
                value = values.get((leaf.name, variable.name), values.get((leaf.name, f"depthwise_{variable.name}")))
                if value is None or tuple(value.shape) != tuple(variable.shape):
                    return None
                pairs.append((variable, np.asarray(value)))
        if len(names) != len(wanted):
            return None
    return pairs


def _leaf_and_variable(name: str, leaves: dict[str, Any]) -> tuple[str, str]:
    """``block/conv_bn/gamma:0`` as the layer ``conv_bn`` and its variable ``gamma``."""
    place, _, variable = name.partition(":")[0].rpartition("/")
    parts = place.split("/")
    candidates = ["_".join(parts[start:]) for start in range(len(parts))]
    return next((one for one in candidates if one in leaves), ""), variable


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _leaves(layer: Any) -> list[Any]:
    """The layers inside a model, of any depth; of another layer, the layer itself."""
    inner = getattr(layer, "layers", None)
    return [layer] if inner is None else [leaf for one in inner for leaf in _leaves(one)]


def _weights_error(path: Path, error: Exception) -> InputError:
    return InputError(f"the weights in this file do not fit its model: {_short(error)}", where=str(path), hint=HINT)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."
