"""
One neuron as a figure
======================

x
"""

import matplotlib.pyplot as plt

import fdref

(picture,) = fdref.decode(fdref.load(), layer=5, filters=[384])

most = abs(picture).max()
plt.imshow(picture[0], "gray", vmin=-most, vmax=most)
plt.axis("off")
