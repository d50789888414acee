"""Networks of somebody's own, soon asked about, and what tests of their cases share."""

from __future__ import annotations

import numpy as np
from command_line import bank

from fdref import BatchNorm, Concat, Conv, ConvTranspose, Network, Pool, ReLU, Scale, Softmax, Sum

SMALL = Network(
    [
        Conv(bank(3, 2, 3, 3), bank(3), pad=(1, 0, 1, 1), name="low"),
        ReLU(0.1),
        Pool((2, 3), 2, name="shrink"),
        Conv(bank(4, 3, 2, 2, seed=1), name="high"),
        Softmax(),
    ],
    average=np.array([17.25, 99.5], np.float32),
    input_size=(9, 12),
)
"""A chain that is soon asked about."""
GRAPH = Network(
    [
        Conv(bank(4, 2, 3, 2), bank(4), stride=(1, 2), pad=(1, 2, 0, 1), name="stem"),
        BatchNorm(bank(4, seed=1), bank(4), bank(4), abs(bank(4)) + 0.5),
        ReLU(),
        Conv(bank(6, 2, 2, 3, seed=2), pad=(0, 1, 1, 1), name="grouped"),
        Conv(bank(2, 4, 3, 3, seed=3), dilate=(1, 2), pad=(1, 1, 2, 2), name="dilated"),
        Concat(name="side by side"),
        Pool(2, 2, method="avg"),
        Conv(bank(8, 8, 1, 1, seed=4), bank(8), name="one by one"),
        Scale(bank(8, seed=5), bank(8)),
        Sum(name="sum"),
        ConvTranspose(bank(8, 2, 3, 4, seed=6), bank(4), 2, (1, 0, 1, 1), groups=2, name="wide"),
    ],
    wiring={5: 3, 6: [4, 5], 10: [7, 9, 7]},
    input_size=(12, 14),
)
"""Every layer that MatConvNet joins maps with, groups, a border, a map that is summed twice."""


def own(found):
    """The cases of a kit's own network."""
    return [case for case in found if "-model" in case.id]


def question(case):
    return case.inputs, case.parameters
