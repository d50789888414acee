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

import fdref

file = os.environ.get("FDREF_DENOISER")
if file:
    net = fdref.load(file)
    print(f"{Path(file).name}: {len(net.decodable)} layers with filters")
    first = fdref.decode(net, net.decodable[0])
    figure = fdref.show(first, "the first layer", columns=16, contrast="layer")
else:
    print("Left out: FDREF_DENOISER names no file.")

# %%
# Half way up, the filters with the most energy are edges and spots; details are set against their
# surroundings.

if file:
    middle = net.decodable[len(net.decodable) // 2]
    bank = fdref.decode(net, middle, unpool="nearest")
    strongest = (-fdref.traits(bank).energy).argsort()[:32]
    labels = [str(k) for k in strongest]
    figure = fdref.show(bank[strongest], net.describe(middle), labels, columns=8)
