"""
The steps of a decoding
=======================

Decoding begins with a neuron's own weights, a picture over the maps below, and takes that picture
down layer by layer: a convolution replaces every pixel by a filter, a pool enlarges.
`fdref.stages` keeps all of them.

Each row is one of three neurons of the LeNet's last convolution; of stages with many channels, the
eight with the most energy are shown.
"""

import matplotlib.pyplot as plt
import numpy as np

import fdref

net, classes = fdref.load(), [0, 3, 8]
stages = fdref.stages(net, layer=7, filters=classes)
for number, stage in zip(range(6, -1, -1), stages, strict=True):
    _, channels, height, width = stage.shape
    print(f"over map {number}: {channels:3} channels of {height}x{width}")

# %%
# Maps 6 and 5 are a single pixel wide: there, weights are all that there is. From map 4 down:


def strip(channels, count=8):
    """Lay the channels with the most energy side by side, with a line between."""
    energy = (channels**2).sum(axis=(1, 2))
    chosen = channels[np.argsort(-energy)[:count]]
    framed = np.pad(chosen, ((0, 0), (0, 0), (0, 1)), constant_values=np.nan)
    return np.concatenate([*framed], axis=1)[:, :-1]


shown = {4: stages[2], 3: stages[3], 2: stages[4], 1: stages[5], 0: stages[6]}
figure, axes = plt.subplots(
    len(shown), 3, figsize=(9.5, 4.6), height_ratios=[1, 1, 1, 1, 2.6], layout="constrained"
)
for row, (number, stage) in zip(axes, shown.items(), strict=True):
    for place, channels in zip(row, stage, strict=True):
        picture = strip(channels)
        most = np.nanmax(abs(picture))
        place.imshow(picture, "gray", vmin=-most, vmax=most)
        place.set(xticks=[], yticks=[])
    row[0].set_ylabel("image" if number == 0 else f"map {number}")
for place, k in zip(axes[0], classes, strict=True):
    place.set_title(f"neuron {k}")
