"""Filter decoding with substitution: any neuron of a trained CNN as a filter in image space.

The reference implementation of Rafegas & Vanrell, arXiv 1511.05084.
"""

from fdref.decode import decode, decode_all
from fdref.errors import ArgumentError, FdrefError, FileError, NetworkError
from fdref.forward import forward
from fdref.layers import (
    BatchNorm,
    Conv,
    Dropout,
    Layer,
    Normalize,
    Pool,
    ReLU,
    Softmax,
)
from fdref.network import Network, receptive_field
from fdref.operations import correlate, pool, substitute, unpool

__version__ = "0.1.0"
