"""
What is lost at each non-linearity
==================================

In a network of correlations and averages a decoded filter *is* the neuron. Max pools and ReLUs are
what it leaves out. `fdref.nonlinearities` makes the network linear, one layer after the other, and
looks how well the decoded filter then predicts the neuron: what is won is what that layer took
away.

It also compares other linear filters: those that images tell, and the best that there is.
"""

import matplotlib.pyplot as plt

import fdref

net, digits = fdref.load(), fdref.mnist().test
found = fdref.nonlinearities(net, digits.images[::4], layers=[7], points=20)[7]

names = {
    ", ".join(net[layer].name for layer in layers) or "the network as it is": result.correlation
    for layers, result in found.replaced.items()
}
figure, axes = plt.subplots(figsize=(7.5, 3.2), layout="constrained")
bars = axes.barh(list(names), list(names.values()), color="#4477aa")
axes.bar_label(bars, fmt="%.2f", padding=3)
axes.set(
    xlim=(0, 1.1),
    xlabel="correlation of prediction and response, layer 7",
    title="Made linear",
)
axes.invert_yaxis()

# %%
# With all three made linear the prediction is exact. As the network is, others can be compared:
# filters that are averages of gradients in images, and the best ones, fitted to the responses to
# other images.

for name, result in found.predicted.items():
    print(f"{name:30} error {result.mean:.4f}   correlation {result.correlation:.3f}")
