"""
Colour filters
==============

The second network that ships, ``cifar``, names what is in photographs of 32x32 pixels. Here are
the filters of its second convolution, decoded, in the order of how much of each is colour: what
remains when the mean of red, green and blue is taken away. The first ones set one colour against
another; the last ones are edges and bars of brightness, with coloured seams.
"""

import matplotlib.pyplot as plt
import numpy as np

import fdref

bank = fdref.decode(fdref.load("cifar"), layer="conv2")  # (32, 3, 15, 15)

colour = bank - bank.mean(axis=1, keepdims=True)
share = (colour**2).sum(axis=(1, 2, 3)) / (bank**2).sum(axis=(1, 2, 3))

figure, axes = plt.subplots(4, 8, figsize=(9, 5.1), layout="constrained")
for place, k in zip(axes.flat, np.argsort(-share), strict=True):
    picture = bank[k].transpose(1, 2, 0)
    place.imshow(0.5 + 0.5 * picture / abs(picture).max())
    place.set_title(f"{k}: {share[k]:.0%}", fontsize=9)
    place.axis("off")
figure.suptitle("conv2, by the share of colour; each on its own contrast")
print(f"the colour is most of {np.count_nonzero(share > 0.5)} of the {len(bank)} filters")
