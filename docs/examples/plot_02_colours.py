"""
Colour filters
==============

The second network that ships, ``cifar``, names what is in photographs of 32x32 pixels. Here are
the filters of its second convolution, decoded, in the order of how much of each is colour: what
remains of its energy when the grey axis, on which red, green and blue are equal, is taken away.
The first ones set one colour against another; the last ones are edges and bars of brightness, with
coloured seams.
"""

import numpy as np

import fdref

bank = fdref.decode(fdref.load("cifar"), layer="conv2")  # (32, 3, 15, 15)
colour = fdref.traits(bank).colourfulness

order = np.argsort(-colour)
labels = [f"{k}: {colour[k]:.0%}" for k in order]
figure = fdref.show(bank[order], "conv2, by colourfulness", labels, columns=8)
print(f"colour is most of {np.count_nonzero(colour > 0.5)} of the {len(bank)} filters")
