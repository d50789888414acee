"""
What texture does a filter make?
================================

Xia et al. take the code of a photograph, what a layer answers to it, give all of its energy to a
single map, and look for an image with that code: the photograph, made of one filter's texture. In
the first layer it can still be told what was photographed; two layers on, the texture is all that
is left.

Searching takes SciPy: ``pip install 'fdref[invert]'``. The photograph, of Grace Hopper, comes with
matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data
from PIL import Image

import fdref

SIDE = 72
with Image.open(get_sample_data("grace_hopper.jpg")) as file:
    small = file.crop((100, 20, 420, 340)).resize((SIDE, SIDE), Image.Resampling.BOX)
photo = np.asarray(small).transpose(2, 0, 1)

# %%
# ``cifar`` was trained on images of 32x32 pixels; its convolutions take any. So we take these, and
# instead of the average image the average colour:

whole = fdref.load("cifar")
last = whole.number("conv3")
net = fdref.Network(whole.layers[:last], average=whole.average.mean(axis=(1, 2)))
acts = fdref.forward(net, net.prepare(photo[None]))

figure, axes = plt.subplots(3, 5, figsize=(9, 5.6), layout="constrained")
for row, layer in zip(axes, ("conv1", "conv2", "conv3"), strict=True):
    chosen = [3, 7, 22, 28]
    codes = fdref.reallocate(acts[net.number(layer)], "one", filters=chosen)
    found = fdref.invert(net, codes, layer, size=(SIDE, SIDE), iterations=50)
    for place, pixels in zip(row, [photo, *found.images], strict=True):
        place.imshow(pixels.transpose(1, 2, 0).round().astype(np.uint8))
        place.set(xticks=[], yticks=[])
    for place, k in zip(row[1:], chosen, strict=True):
        place.set_xlabel(f"{layer}, map {k}")
