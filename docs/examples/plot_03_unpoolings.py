"""
The four ways to undo a pool
============================

A pool makes one pixel of many, so the way down has to say which of them it was. ``nearest``,
``bilinear`` and ``bicubic`` are the paper's, and enlarge the picture as MATLAB's ``imresize``
does; ``window`` shares each pixel over its pool's window.

The pools of ``cifar`` are three wide and move by two: windows overlap, and only ``window`` is then
what averaging does.
"""

import matplotlib.pyplot as plt

import fdref

WAYS = ("nearest", "bilinear", "bicubic", "window")
CHOSEN = [8, 22, 40]

net = fdref.load("cifar")
figure, axes = plt.subplots(len(CHOSEN), 4, figsize=(8, 6.4), layout="constrained")
for column, way in zip(axes.T, WAYS, strict=True):
    bank = fdref.decode(net, "conv3", CHOSEN, unpool=way)
    for place, k, picture in zip(column, CHOSEN, bank, strict=True):
        place.imshow(0.5 + 0.5 * picture.transpose(1, 2, 0) / abs(picture).max())
        place.set(xticks=[], yticks=[])
        column[0].set_title(way)
        if way == WAYS[0]:
            place.set_ylabel(f"conv3, {k}")

# %%
# Which predicts best? On digits, the error of the paper's eq. 3, for the LeNet's layers (its pools
# do not overlap, and there ``window`` is ``nearest``, less a factor):

lenet, digits = fdref.load(), fdref.mnist().test
x = lenet.prepare(digits.images)
print(f"{'':10}", *(f"layer {layer:<5}" for layer in (3, 5, 7)))
for way in WAYS:
    found = fdref.evaluate(lenet, x, layers=[3, 5, 7], unpool=way)
    print(f"{way:10}", *(f"{result.mean:<11.4f}" for result in found.values()))
