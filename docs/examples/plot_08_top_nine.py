"""
The nine strongest images, and what in them it was
==================================================

Zeiler & Fergus ask what a neuron answers *in an image*: of the images that excite it most, the
deconvnet shows the parts that did. A decoded filter needs no image; beside each other, the two
tell whether they are about the same thing.

Left the decoded filter, then the nine patches of the shipped digits that excite the neuron most,
then the projections of these activations.
"""

import matplotlib.pyplot as plt
import numpy as np

import fdref

net, digits, chosen = fdref.load(), fdref.mnist().test, [7, 19, 31, 44]
filters = fdref.decode(net, 3, chosen)
top = fdref.strongest(net, digits.images, 3, chosen)
patches, projections = top.patches(), top.projections("deconvnet")


def nine(pictures):
    """Lay nine pictures (9, 1, h, w) out in three rows."""
    rows = [np.concatenate([*pictures[k : k + 3, 0]], axis=1) for k in (0, 3, 6)]
    return np.concatenate(rows)


figure, axes = plt.subplots(len(chosen), 3, figsize=(6.6, 8.6), layout="constrained")
for row, k, *pictures in zip(axes, chosen, filters, patches, projections, strict=True):
    drawn = pictures[0][0], nine(pictures[1]), nine(pictures[2])
    for place, picture in zip(row, drawn, strict=True):
        most = abs(picture).max()
        place.imshow(picture, "gray", vmin=0 if picture.min() >= 0 else -most, vmax=most)
        place.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"layer 3, neuron {k}")
for place, title in zip(axes[0], ("decoded", "patches", "projections"), strict=True):
    place.set_title(title)

# %%
# Do they know each other? The mean of a neuron's projections is compared with the decoded filters
# of all fifty neurons; guessing would find one in fifty.

top = fdref.strongest(net, digits.images, 3)
told = fdref.specificity(net, top.projections("deconvnet").mean(axis=1), 3)
print(f"nearest to the own decoded filter: {told.found:.0%} (by chance {told.chance:.0%})")
