"""
Hide a part: where does the network need the image?
===================================================

A square of 7x7 pixels moves over digits of which the network is not quite sure. At each place it
hides what is there, and the network says how probable the class then is. Dark is where it needs
what is hidden.

Zeiler & Fergus's square is grey. A grey square on a black page is itself a stroke; "background"
hides a part behind what surrounds the digit.
"""

import matplotlib.pyplot as plt

import fdref

net, digits = fdref.load(), fdref.mnist().test
chosen = [318, 115, 340, 62]
x = net.prepare(digits.images[chosen])
labels = digits.labels[chosen]

figure, axes = plt.subplots(3, len(chosen), figsize=(8, 6.2), layout="constrained")
for place, image in zip(axes[0], digits.images[chosen], strict=True):
    place.imshow(image, "gray")
for row, value in zip(axes[1:], ("background", 127.5), strict=True):
    hidden = fdref.occlude(net, x, size=7, value=value, labels=labels)
    for place, map_ in zip(row, hidden.probability, strict=True):
        drawn = place.imshow(map_, "cividis", vmin=0, vmax=1, extent=(3, 25, 25, 3))
        place.set(xlim=(0, 28), ylim=(28, 0))
figure.colorbar(drawn, ax=axes[1:], label="probability of its class", shrink=0.7)
for place in axes.flat:
    place.set(xticks=[], yticks=[])
for row, label in zip(axes, ("digit", "background", "grey"), strict=True):
    row[0].set_ylabel(label)
