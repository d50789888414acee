"""
A real denoiser
===============

A network that removes noise has learned what clean images are made of. Zhang et al.'s DnCNN is a
chain of seventeen convolutions, which its authors publish as a MATLAB file (cszn/DnCNN on GitHub,
``model/specifics/sigma=25.mat``). Name such a file to build this page with it::

    FDREF_DENOISER=sigma=25.mat sphinx-build docs docs/_build

Any network of grey images that ``fdref info`` can read will do.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import fdref


def draw(net):
    """Draw the filters with the most energy of a few layers, from the first on."""
    layers = net.decodable[:: max(1, (len(net.decodable) - 1) // 3)]
    figure, axes = plt.subplots(len(layers), 8, figsize=(9, 5.2), layout="constrained")
    for row, layer in zip(axes, layers, strict=True):
        bank = fdref.decode(net, layer, unpool="nearest")
        strongest = np.argsort(-(bank**2).sum(axis=(1, 2, 3)))
        for place in row:
            place.axis("off")
        for place, k in zip(row, strongest, strict=False):
            picture = bank[k].sum(axis=0)
            most = abs(picture).max()
            place.imshow(picture, "gray", vmin=-most, vmax=most)
            place.set_title(f"{net[layer].name or layer}: {k}", fontsize=9)
    figure.suptitle("the eight filters with the most energy of each layer")


file = os.environ.get("FDREF_DENOISER")
if file:
    model = fdref.load(file)
    print(f"{Path(file).name}: {len(model.decodable)} layers with filters")
    draw(model)
else:
    print("Left out: FDREF_DENOISER names no file.")
