"""
Two networks, matched by what their neurons look like
=====================================================

Which neuron of one network is which of another? Numbers say nothing: training begins with chance,
and any order of a layer's neurons is as good as another. Decoded filters can be compared, as all
of them are pictures over the image. `fdref.match` pairs the layers whose fields have one size, and
their neurons such that the pictures of partners are as alike as can be.

Here the other network is a copy of the LeNet, whose second convolution's neurons were shuffled,
and whose weights were disturbed.
"""

import matplotlib.pyplot as plt
import numpy as np

import fdref

random = np.random.default_rng(0)
net = fdref.load()
order = random.permutation(net.channels[3])


def disturbed(filters):
    """Add noise as strong as the filters."""
    return filters + filters.std() * random.standard_normal(filters.shape)


layers = list(net.layers)
layers[0] = fdref.Conv(disturbed(net[1].filters))
layers[2] = fdref.Conv(disturbed(net[3].filters[order]))
layers[4] = fdref.Conv(disturbed(net[5].filters[:, order]))
other = fdref.Network(layers)

# %%
# Nearly all partners are found, in the shuffled layer, too:

matches = fdref.match(net, other)
truth = {3: np.argsort(order)}
for found in matches:
    right = found.partners == truth.get(found.layer, np.arange(len(found.partners)))
    print(
        f"layer {found.layer}: {right.mean():4.0%} of the partners right, "
        f"likeness {found.likeness.mean():.2f}"
    )

# %%
# Above, neurons of layer 3; below, their partners:

found = matches[1]
shown = np.argsort(-found.likeness)[::5]
figure, axes = plt.subplots(2, len(shown), figsize=(9, 2.4), layout="constrained")
for column, k in zip(axes.T, shown, strict=True):
    partner = found.partners[k]
    for place, who, number in zip(column, (net, other), (k, partner), strict=True):
        (picture,) = fdref.decode(who, 3, [number])
        most = abs(picture).max()
        place.imshow(picture[0], "gray", vmin=-most, vmax=most)
        place.set_title(number, fontsize=9)
        place.axis("off")
    column[1].text(
        0.5, -0.2, f"{found.likeness[k]:.2f}", ha="center", transform=column[1].transAxes
    )
