"""ONNX as PyTorch writes it: every map against ONNX Runtime, pictures against autograd."""

from __future__ import annotations

import numpy as np
import pytest
from absence import absent

import fdref
from fdref.errors import NetworkError
from fdref.weights.onnx import network_from_bytes, network_from_onnx

NAMES = [
    "activations",
    "arithmetic",
    "average, borders counted",
    "average, borders not counted",
    "average, rounded up",
    "average, rounded up, not counted",
    "bilinear by 2",
    "bilinear by 3 and 4",
    "by pixel",
    "depthwise",
    "dilated",
    "excited",
    "global",
    "groups",
    "halves",
    "inception",
    "largest",
    "last flattened",
    "lenet",
    "maximum, rounded up",
    "maximum, steps beyond the window",
    "normalised",
    "normalised, even",
    "padded",
    "pixel shuffle",
    "pixel unshuffle",
    "repeated",
    "resnet",
    "same",
    "shufflenet",
    "squeezenet",
    "to a size",
    "transposed",
    "unet",
    "unet, repeated",
    "vgg",
]
PICTURES = [
    "average, borders not counted",
    "average, rounded up",
    "average, rounded up, not counted",
    "average, borders counted",
    "depthwise",
    "dilated",
    "groups",
    "inception",
    "last flattened",
    "lenet",
    "maximum, rounded up",
    "padded",
    "pixel shuffle",
    "pixel unshuffle",
    "repeated",
    "resnet",
    "same",
    "shufflenet",
    "squeezenet",
    "transposed",
    "unet",
    "unet, repeated",
    "vgg",
]
"""Those with a linear part that is decoded exactly."""
EXPORTERS = pytest.mark.parametrize(
    "exporter", ["old", pytest.param("new", marks=pytest.mark.slow)]
)
"""The newer one takes seconds for each module."""
BOTH = [("lenet", "new"), ("unet", "new"), ("halves", "new"), ("normalised", "new")]
"""Some that are not left to those who have time."""


@pytest.fixture(scope="module")
def peers():
    try:
        import onnx_modules
        import onnx_runtime_values
        import onnxscript  # noqa: F401 - what PyTorch's newer exporter needs
    except ImportError as error:
        absent("peers", f"{error.name} is not installed")
    return onnx_modules, onnx_runtime_values


@pytest.mark.parametrize(("name", "exporter"), BOTH)
def test_the_newer_exporter(peers, name, exporter):
    test_every_map_is_onnx_runtimes(peers, name, exporter)


@EXPORTERS
@pytest.mark.parametrize("name", NAMES)
def test_every_map_is_onnx_runtimes(peers, name, exporter):
    modules, runtime = peers
    assert set(NAMES) == set(modules.MODULES)
    model, x = modules.exported(name, exporter), modules.images(name)
    net, _, compared = runtime.check_values(model, {"x": x.numpy()})
    helpers = [layer for n, layer in enumerate(net, 1) if n not in compared]
    assert all(": " in layer.name for layer in helpers)
    names = [layer.name for layer in net]
    assert len(set(names)) == len(names)
    expected = modules.module(name)(x).detach().numpy()
    found = fdref.forward(net, x.numpy())[-1].reshape(expected.shape)
    assert abs(found - expected).max() <= 1e-5 * max(1, abs(expected).max())


@EXPORTERS
@pytest.mark.parametrize("name", PICTURES)
def test_decoded_pictures_are_the_gradients_of_the_modules_linear_part(peers, name, exporter):
    modules, _ = peers
    made, x = modules.module(name), modules.images(name)
    net = network_from_bytes(modules.exported(name, exporter).SerializeToString())
    height, width = net.map_sizes(x.shape[2:])[-1]
    linear = modules.linear(made)
    for k, row, column in ((0, 0, 0), (net.channels[-1] - 1, height - 1, width // 2)):
        number = max(n for n in range(1, len(net) + 1) if net[n].kind != "softmax")
        (picture,) = fdref.decode(
            net, number, [k], unpool="window", position=(row, column), engine="reference"
        )
        expected = modules.gradient(linear, x, (k, row, column))
        seen = fdref.receptive_field(net, number, position=(row, column))
        top, left = seen.offset
        laid = np.zeros_like(expected)
        laid[:, top : top + seen.size[0], left : left + seen.size[1]] = picture
        assert abs(laid - expected).max() <= 1e-5 * abs(expected).max()


@EXPORTERS
@pytest.mark.parametrize(
    "name", ["lenet", "resnet", "shufflenet", "unet", "to a size", "normalised"]
)
def test_batches_that_a_file_leaves_open(peers, name, exporter):
    modules, runtime = peers
    x = modules.images(name, 3)
    model = modules.export(modules.module(name), x, exporter, batch=True)
    runtime.check_values(model, {"x": x.numpy()})


@EXPORTERS
@pytest.mark.parametrize("name", ["resnet", "inception", "unet, repeated", "squeezenet"])
def test_sizes_that_a_file_leaves_open(peers, name, exporter):
    modules, runtime = peers
    x = modules.images(name)
    model = modules.export(modules.module(name), x, exporter, batch=True, size=True)
    if name in ("inception", "unet, repeated"):  # nothing of it needs the size
        net, *_ = runtime.check_values(model, {"x": x.numpy()})
        assert net.input_size is None
    else:
        with pytest.raises(NetworkError, match=r"the size of the images .* give input_size"):
            network_from_bytes(model.SerializeToString())
    net, *_ = runtime.check_values(model, {"x": x.numpy()}, input_size=tuple(x.shape[2:]))
    assert net.input_size == tuple(x.shape[2:])


def test_arrays_in_a_file_beside_the_model(peers, tmp_path):
    modules, _ = peers
    x, path = modules.images("vgg"), tmp_path / "vgg.onnx"
    modules.export(modules.module("vgg"), x, "new", path=path)
    assert (tmp_path / "vgg.onnx.data").exists()
    net = network_from_onnx(path)
    expected = modules.module("vgg")(x).detach().numpy()
    found = fdref.forward(net, x.numpy())[-1].reshape(expected.shape)
    assert abs(found - expected).max() <= 1e-5 * abs(expected).max()
    assert net == network_from_onnx(str(path))


@EXPORTERS
def test_layers_are_named_as_in_the_module(peers, exporter):
    modules, _ = peers
    made = modules.Block(3, 4, 2).eval()
    model = modules.export(made, modules.images("vgg"), exporter)
    net = network_from_bytes(model.SerializeToString())
    names = [layer.name for layer in net if layer.kind == "conv"]
    assert len(names) == 3
    assert all(name.startswith(("conv", "down")) for name in names)
