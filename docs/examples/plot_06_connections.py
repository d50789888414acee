"""
What a neuron is made of
========================

Decoding is linear, so a decoded filter is the sum of what comes through each neuron of the layer
below. The *signed share* of a part is how much of the whole it makes: its scalar product with the
whole, over the whole's with itself. Shares add up to 1; a negative one works against the others.

Three neurons of the LeNet's third layer, each with the six neurons of the first that make the most
of it, or work against it most.
"""

import matplotlib.pyplot as plt
import numpy as np

import fdref

net, chosen = fdref.load(), [7, 19, 31]
made_of = fdref.composition(net, layer=3, filters=chosen)
wholes = fdref.decode(net, layer=3, filters=chosen)
parts = fdref.decode(net, layer=1)


def draw(place, picture, title):
    """Draw a picture on its own contrast, grey is zero."""
    most = abs(picture).max()
    place.imshow(picture[0], "gray", vmin=-most, vmax=most)
    place.set_title(title, fontsize=9)
    place.axis("off")


figure, axes = plt.subplots(
    len(chosen), 7, figsize=(9, 4.6), width_ratios=[1.3, *[1] * 6], layout="constrained"
)
for row, k, whole, shares in zip(axes, chosen, wholes, made_of.shares, strict=True):
    draw(row[0], whole, f"layer 3, neuron {k}")
    for place, part in zip(row[1:], np.argsort(-abs(shares)), strict=False):
        neuron = made_of.channels[part]
        draw(place, parts[neuron], f"{neuron}: {shares[part]:+.0%}")

print("the shares of each add up to", made_of.shares.sum(axis=1).round(6))
