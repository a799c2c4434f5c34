"""ncnn files: what pnnx needs, and what happens when it fails."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from edgekit.device.ncnn_file import INPUT, OUTPUT
from edgekit.errors import ConversionFailed, InputError
from edgekit.export.ncnn import maker
from edgekit.export.plan import plan_export
from edgekit.export.requirements import need_tools
from edgekit.recipe import Export

needs_pnnx = pytest.mark.skipif(
    find_spec("pnnx") is None or find_spec("ncnn") is None, reason="pnnx or ncnn is not installed"
)


def network(*middle: tuple[str, list[str], list[str], dict]) -> object:
    """An ONNX model of uint8 pixels, as edgekit writes them: transposed, cast, ``middle``, softmax."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Transpose", ["image"], ["moved"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["moved"], ["floats"], to=TensorProto.FLOAT),
        *(helper.make_node(kind, given, made, **more) for kind, given, made, more in middle),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Softmax", ["flat"], ["scores"], axis=-1),
    ]
    tensors = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "fill": np.zeros((), np.float32)}
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 16, 16, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


PADDED = ("Pad", ["floats", "pads", "fill"], ["features"], {})
UNKNOWN = ("Hardmax", ["floats"], ["features"], {"axis": 1})


@needs_pnnx
def test_input_and_output_have_the_names_of_every_file():
    layers, _ = maker.converted(maker.without_pixels(network(PADDED)), half=False)
    first, last = layers.splitlines()[2], layers.splitlines()[-1]
    assert first.split()[:2] == ["Input", INPUT]
    assert last.split()[:1] == ["Softmax"]
    assert OUTPUT in last.split()
    assert "Padding" in layers


@needs_pnnx
def test_an_operator_that_ncnn_lacks_is_named():
    with pytest.raises(ConversionFailed, match="no layer for these operators: Hardmax"):
        maker.converted(maker.without_pixels(network(UNKNOWN)), half=False)


def test_a_network_that_begins_otherwise_is_refused():
    model = network(PADDED)
    model.graph.node[1].op_type = "Identity"
    with pytest.raises(ConversionFailed, match="Transpose and Cast"):
        maker.without_pixels(model)


@pytest.mark.parametrize(("script", "said"), [("exit 3", "code 3: no message"), ("echo why; exit 1", "code 1: why")])
def test_a_failure_of_pnnx_is_told(script, said, tmp_path, monkeypatch):
    program = tmp_path / "pnnx"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(maker, "pnnx_program", lambda: str(program))
    with pytest.raises(ConversionFailed, match=said):
        maker.converted(maker.without_pixels(network(PADDED)), half=False)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    import importlib.util as util

    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *more: None if name == "pnnx" else real(name, *more))
    with pytest.raises(InputError, match="need pnnx") as error:
        need_tools(plan_export(["ncnn-fp32"], Export()), Export())
    assert error.value.hint == 'pip install "edgekit[ncnn]" && pip install --no-deps pnnx'
