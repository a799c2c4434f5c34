"""Translates the configuration of a model, of Keras 2 or 3, into one that this version of Keras builds.

What only matters in training is left out (initializers, regularizers, constraints, mixed precision). Settings that a
layer no longer has are dropped where they had no effect, such as ``groups=1`` of a DepthwiseConv2D, and refused
otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from edgekit.errors import InputError
from edgekit.train.keras_files.config_check import (
    ALIASES,
    INPUT,
    MODELS,
    OPERATION_MODULES,
    TENSORFLOW_OPERATIONS,
    Config,
    layer_entries,
    layer_name,
)

RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}, INPUT: {"batch_input_shape": "batch_shape"}}
"""Settings with another name in Keras 3, by layer."""

WITHOUT_EFFECT = {
    "batch_input_shape", "fused", "input_shape", "implementation", "ragged", "rng_type", "sparse", "virtual_batch_size",
    "input_dtype", "synchronized", "optional", "force_generator", "seed", "renorm_clipping", "renorm_momentum",
}  # fmt: skip
"""Settings of older versions that do not change what a layer computes in inference."""

NEUTRAL = {"groups": 1, "depth_multiplier": 1}
"""Settings that no longer exist and had no effect with these values."""

KERAS2_OTHER_ACTIVATIONS = {"hard_sigmoid": "clip(0.2 x + 0.5), now relu6(x + 3) / 6"}
"""Activations that Keras 3 computes in another way than Keras 2."""


def translate(root: Config, keras_version: str) -> Config:
    """The configuration of a whole model for ``keras.saving.deserialize_keras_object``.

    ``keras_version`` is that of the file. Raises :class:`InputError` for what cannot be translated.
    """
    return _Translation(keras_version).model(root)


class _Translation:
    def __init__(self, keras_version: str) -> None:
        self._keras2 = not keras_version.startswith("3")

    def model(self, entry: Config) -> Config:
        sequential = entry["class_name"] == "Sequential"
        inner = entry["config"] if isinstance(entry["config"], dict) else {}
        entries = [self._entry(one) for one in layer_entries(entry)]
        kind = "Sequential" if sequential else "Functional"
        config: Config = {"name": _name(inner.get("name") or "model"), "trainable": bool(inner.get("trainable", True))}
        if sequential:
            config["layers"] = [*_missing_input(entries, entry), *entries]
        else:
            config |= {"layers": entries, "input_layers": _history(inner["input_layers"])}
            config["output_layers"] = _history(inner["output_layers"])
            if self._keras2:
                _renumber(config)
        module = f"keras.src.models.{'sequential' if sequential else 'functional'}"
        return {**_place(entry), "module": module, "class_name": kind, "config": config, "registered_name": None}

    def _entry(self, entry: Config) -> Config:
        if entry["class_name"] in MODELS:
            return self.model(entry)
        if entry["class_name"] in TENSORFLOW_OPERATIONS:
            return translate_operation(entry)
        if entry.get("module") in OPERATION_MODULES:
            return {**entry, **_place(entry), "config": {**entry["config"], "name": _name(layer_name(entry))}}
        return self._layer(entry)

    def _layer(self, entry: Config) -> Config:
        stored = str(entry["class_name"])
        kind = ALIASES.get(stored, stored)
        name = _name(layer_name(entry))
        module = "keras.src.applications.convnext" if kind in ("LayerScale", "StochasticDepth") else "keras.layers"
        renamed = RENAMED.get(kind, {})
        given = {renamed.get(key, key): value for key, value in entry["config"].items()}
        config = {"name": name, **self._settings(kind, name, module, given)}
        place = _place(entry)
        return {**place, "module": module, "class_name": kind, "config": config, "registered_name": None}

    def _settings(self, kind: str, name: str, module: str, given: Mapping[str, Any]) -> Config:
        allowed = _parameters(kind, module)
        kept: Config = {}
        for key, value in given.items():
            if key == "name" or key.endswith(("_initializer", "_regularizer", "_constraint")):
                continue
            if key == "dtype":
                kept[key] = "float32"
            elif key in ("activation", "recurrent_activation"):
                kept[key] = self._activation(value, name)
            elif key == "axis" and isinstance(value, list) and len(value) == 1 and kind == "BatchNormalization":
                kept[key] = value[0]
            elif key in allowed:
                kept[key] = value
            elif key not in WITHOUT_EFFECT and value not in (None, False) and NEUTRAL.get(key) != value:
                raise InputError(
                    f"the layer {name} ({kind}) has the setting {key}={value!r}, which this version of Keras does not "
                    "have",
                    hint="open the model with the version of Keras that saved it, and rebuild the layer",
                )
        return kept

    def _activation(self, value: object, layer: str) -> str:
        name = value.get("config", value.get("class_name")) if isinstance(value, dict) else value
        if name is None:
            return "linear"
        import keras

        if not isinstance(name, str) or not hasattr(keras.activations, name):
            shown = value.get("registered_name") or value.get("class_name") if isinstance(value, dict) else value
            raise InputError(
                f"the layer {layer} has the activation {name if isinstance(name, str) else shown!r}, which is not "
                "part of Keras",
                hint="rebuild the model with an activation of keras.activations, copy the weights, and save it again",
            )
        if self._keras2 and name in KERAS2_OTHER_ACTIVATIONS:
            raise InputError(
                f"the layer {layer} has the activation {name}, which Keras 2 computed differently from Keras 3: "
                f"{KERAS2_OTHER_ACTIVATIONS[name]}",
                hint="rebuild the layer as Rescaling(0.2, 0.5) followed by ReLU(1.0), and save the model again",
            )
        return name


def _parameters(kind: str, module: str) -> set[str]:
    """The settings that a layer of this version of Keras takes."""
    import keras

    if module == "keras.layers":
        layer: type[Any] = getattr(keras.layers, kind)
    else:
        import importlib

        layer = getattr(importlib.import_module(module), kind)
    found: set[str] = set()
    for base in layer.__mro__:
        initialize = vars(base).get("__init__")
        if initialize is not None and base is not object:
            parameters = inspect.signature(initialize).parameters.values()
            found |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return found - {"self"}


def _place(entry: Config) -> Config:
    """Where a layer is in its model: its name, and the layers that it takes its inputs from."""
    place: Config = {"name": _name(layer_name(entry))}
    if "inbound_nodes" in entry:
        place["inbound_nodes"] = _history(entry["inbound_nodes"])
    if "build_config" in entry:
        place["build_config"] = entry["build_config"]
    return place


def _name(name: object) -> str:
    """Keras 3 allows no slash in the name of a layer."""
    return str(name).replace("/", "_")


def _history(value: Any) -> Any:
    """References to layers, with their names as :func:`_name` writes them."""
    if isinstance(value, dict):
        return {key: _history(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_history(inner) for inner in value]
    return value.replace("/", "_") if isinstance(value, str) else value


def _renumber(model: Config) -> None:
    """References to the calls of models inside ``model`` as Keras 3 counts them.

    In Keras 2, the call that makes a model counts as its first. Keras 3 still counts that for an output of the whole
    model if the inner model is functional. A single output is not a list in Keras 3.
    """
    kinds = {entry["name"]: entry["class_name"] for entry in model["layers"] if entry["class_name"] in MODELS}

    def renumbered(value: Any, counted: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {key: renumbered(inner, counted) for key, inner in value.items()}
        if not isinstance(value, list):
            return value
        if len(value) >= 3 and isinstance(value[0], str) and kinds.get(value[0], counted[0]) not in counted:
            return [value[0], max(0, value[1] - 1), *value[2:]]
        return [renumbered(inner, counted) for inner in value]

    for entry in model["layers"]:
        entry["inbound_nodes"] = renumbered(entry.get("inbound_nodes", []), ("",))
    outputs = renumbered(model["output_layers"], ("Functional",))
    model["output_layers"] = outputs[0] if len(outputs) == 1 and isinstance(outputs[0], list) else outputs


def _missing_input(entries: list[Config], sequential: Config) -> list[Config]:
    """The input layer of a Sequential, where older versions store its shape with the first layer or the model."""
    if not entries or entries[0]["class_name"] in (INPUT, *MODELS):
        return []
    inner, first = sequential["config"], layer_entries(sequential)[0]["config"]
    shape = first.get("batch_input_shape") or (inner.get("build_input_shape") if isinstance(inner, dict) else None)
    if shape is None:
        return []
    config = {"name": f"{entries[0]['name']}_input", "batch_shape": list(shape), "dtype": "float32"}
    return [{"module": "keras.layers", "class_name": INPUT, "config": config, "registered_name": None}]


def translate_operation(entry: Config) -> Config:
    """An arithmetic operation of a Keras 2 model as a layer; :class:`InputError` for one without a translation."""
    name, function = _name(layer_name(entry)), str(entry["config"].get("function"))
    nodes = entry.get("inbound_nodes", [])
    if len(nodes) == 1 and isinstance(nodes[0], list) and len(nodes[0]) == 4:
        source, number, tensor, arguments = nodes[0]
        found = _operation(function, source, tensor if source == "_CONSTANT_VALUE" else None, arguments)
        if found is not None:
            kind, module, config, sources = found
            own = [[source, number, tensor, {}]] if source != "_CONSTANT_VALUE" else []
            others = [[*reference[:3], {}] for reference in sources]
            return {
                "name": name,
                "module": module,
                "class_name": kind,
                "config": {"name": name, **config},
                "registered_name": None,
                "inbound_nodes": [_history([*own, *others])],
            }
    raise InputError(
        f"the layer {layer_name(entry)} applies tf.{function} of TensorFlow, which edgekit does not translate",
        hint="rebuild the model with layers of Keras instead of TensorFlow functions, copy the weights, and save it "
        "again; preprocessing can also be removed and given with --scaling",
    )


_Found = tuple[str, str, Config, list[list[Any]]]
"""The class and module of a layer, its settings, and references to further inputs."""


def _operation(function: str, source: str, constant: object, arguments: Mapping[str, Any]) -> _Found | None:
    plain = function.rpartition(".")[2]
    if plain in ("add", "subtract", "sub", "multiply", "mul", "truediv", "divide", "bias_add"):
        return _arithmetic(plain, constant, arguments.get("y", arguments.get("bias")))
    found: _Found | None = None
    if source == "_CONSTANT_VALUE":
        pass
    elif plain in ("relu6", "relu", "sigmoid", "swish", "silu", "tanh", "softmax"):
        found = "Activation", "keras.layers", {"activation": plain}, []
    elif plain in ("cast", "identity", "stop_gradient"):
        found = "Activation", "keras.layers", {"activation": "linear"}, []
    elif plain == "reduce_mean" and arguments.get("axis") in ([1, 2], [2, 1]):
        found = "GlobalAveragePooling2D", "keras.layers", {"keepdims": bool(arguments.get("keepdims"))}, []
    elif plain == "getitem" and _reverses_channels(arguments.get("slice_spec")):
        found = "Flip", "keras.src.ops.numpy", {"axis": -1}, []
    return found


def _arithmetic(operation: str, constant: object, other: object) -> _Found | None:
    """``x + c``, ``c - x`` and the like as a Rescaling layer; ``x + y`` as a merging layer."""
    subtracts = operation in ("subtract", "sub")
    divides = operation in ("truediv", "divide")
    multiplies = operation in ("multiply", "mul")
    if isinstance(other, list) and len(other) == 3 and isinstance(other[0], str):
        if constant is None:
            merging = "Subtract" if subtracts else "Multiply" if multiplies else "Add"
            return None if divides else (merging, "keras.layers", {}, [other])
        if divides:
            return None
        scale, offset = (constant, 0.0) if multiplies else (-1.0 if subtracts else 1.0, constant)
        return "Rescaling", "keras.layers", {"scale": scale, "offset": offset}, [other]
    listed = other if isinstance(other, list) else [other]
    numbers = [float(x) for x in listed if isinstance(x, (int, float))]
    if constant is not None or len(numbers) != len(listed):
        return None
    scales, offsets = [1.0], [0.0]
    if divides or multiplies:
        scales = [1.0 / x for x in numbers] if divides else numbers
    else:
        offsets = [-x for x in numbers] if subtracts else numbers
    settings = {
        "scale": scales if len(scales) > 1 else scales[0],
        "offset": offsets if len(offsets) > 1 else offsets[0],
    }
    return "Rescaling", "keras.layers", settings, []


def _reverses_channels(spec: object) -> bool:
    """Whether a slice is ``[..., ::-1]``."""
    if not isinstance(spec, list) or len(spec) not in (2, 4):
        return False
    last = spec[-1]
    whole = [{"start": None, "stop": None, "step": None}] * 3
    before = spec[:-1] == whole or (len(spec) == 2 and "ellipsis" in str(spec[0]))
    return before and last == {"start": None, "stop": None, "step": -1}
