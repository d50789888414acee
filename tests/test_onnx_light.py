"""The model graphs that the `onnx` wheel carries: real networks, all weights constant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from absence import absent

import fdref
from fdref.errors import FileError
from fdref.weights.bounded import Budget

KINDS = {
    "bvlc_alexnet": (23, 1000),
    "densenet121": (547, 1000),
    "inception_v1": (142, 1000),
    "inception_v2": (301, 1000),
    "resnet50": (175, 1000),
    "shufflenet": (170, 1000),
    "squeezenet": (66, 1000),
    "vgg19": (45, 1000),
    "zfnet512": (21, 1000),
}
"""Layers, and channels of the last."""
LARGE = {"bvlc_alexnet", "vgg19", "zfnet512"}
"""Weights of hundreds of megabytes, made of a few kilobytes: more than is granted unasked."""
FAST = {"squeezenet", "shufflenet"}
"""Those that are run; the others, too, where there is time."""


@pytest.fixture(scope="module")
def folder():
    try:
        import onnx
        import onnx_runtime_values  # noqa: F401
    except ImportError as error:
        absent("peers", f"{error.name} is not installed")
    found = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    if not found.is_dir():
        absent("peers", "this onnx carries no model graphs")
    return found


@pytest.mark.parametrize("name", sorted(KINDS))
def test_they_load(folder, name):
    path = folder / f"light_{name}.onnx"
    if name in LARGE:
        with pytest.raises(FileError, match=r"is too much, expected at most 268435456 bytes"):
            fdref.load(path)
        return
    net = fdref.load(path)
    assert (len(net), net.channels[-1]) == KINDS[name]
    assert net.input_size == (224, 224)
    assert len({layer.name for layer in net}) == len(net)
    assert not any("Untitled" in layer.name for layer in net)


@pytest.mark.large
@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]
)
def test_every_map_is_onnx_runtimes(folder, name):
    """Weights are all alike in these files: they get random ones first."""
    import onnx
    from onnx_runtime_values import check_values

    path = folder / f"light_{name}.onnx"
    model = onnx.load(path)
    with_weights(onnx, model)
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    names = {one.name for one in model.graph.input} - {one.name for one in model.graph.initializer}
    net, _, compared = check_values(model, dict.fromkeys(names, x), budget=Budget(always=2**32))
    assert (len(net), net.channels[-1]) == KINDS[name]
    assert len(compared) == len(net)


def with_weights(onnx, model):
    """Put random arrays where constants of one number are made, such that maps stay in range."""
    random = np.random.default_rng(1)
    shapes = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    makers = [node for node in model.graph.node if node.op_type == "ConstantOfShape"]
    positive = {node.input[4] for node in model.graph.node if node.op_type == "BatchNormalization"}
    for node in makers:
        shape = tuple(shapes[node.input[0]])
        values = random.standard_normal(shape).astype(np.float32)
        if len(shape) > 1:
            values *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
        if node.output[0] in positive:
            values = np.abs(values) + np.float32(0.5)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, node.output[0]))
        model.graph.node.remove(node)
