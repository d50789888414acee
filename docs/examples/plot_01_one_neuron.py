"""
One neuron as a figure
======================

What does neuron 384 of the LeNet's layer 5 look for? Its 4x4x50 weights lie over the maps of 50
other filters, and say nothing to the eye. Decoded, they are a picture over the image.

White is zero. Orange pixels excite the neuron where they are bright, blue ones inhibit it.
"""

import fdref

net = fdref.load()
neuron = fdref.decode(net, layer=5, filters=[384])
print(f"weights {net[5].filters[384].shape}, decoded {neuron.shape[1:]}")

figure = fdref.show(neuron, "layer 5, neuron 384", size=320, cmap="diverging")

# %%
# ``figure.savefig("neuron.pdf")`` writes it in any of matplotlib's formats. In a shell::
#
#     fdref decode --only 5:384 --cmap diverging -o neuron.pdf
