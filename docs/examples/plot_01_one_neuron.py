"""
One neuron as a figure
======================

What does neuron 384 of the LeNet's layer 5 look for? Its 4x4x50 weights lie over the maps of 50
other filters, and say nothing to the eye. Decoded, they are a picture over the image.

Grey is zero. Where the picture is bright, bright pixels excite the neuron; where it is dark, they
inhibit it.
"""

import matplotlib.pyplot as plt

import fdref

net = fdref.load()
weights = net[5].filters[384]
(picture,) = fdref.decode(net, layer=5, filters=[384])
print(f"weights {weights.shape}, decoded {picture.shape}")

most = abs(picture).max()
figure, axes = plt.subplots(figsize=(4.8, 4), layout="constrained")
drawn = axes.imshow(picture[0], "gray", vmin=-most, vmax=most)
figure.colorbar(drawn, label="weight of a pixel")
axes.set(title="layer 5, neuron 384", xticks=[], yticks=[])
