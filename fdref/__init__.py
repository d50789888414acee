"""Filter decoding with substitution: any neuron of a trained CNN as a filter in image space.

The reference implementation of Rafegas & Vanrell, arXiv 1511.05084.
"""

from pathlib import Path as _Path

_here = _Path(__file__).parent
if not (_here / "kernels").exists():
    # In a checkout, kernels and weights lie beside this folder; an installation puts them inside.
    __path__.append(str(_here.parent))

from fdref.decoding import decode, decode_all
from fdref.errors import ArgumentError, FdrefError, FileError, NetworkError
from fdref.evaluation import Evaluation, evaluate, respond
from fdref.fields import receptive_field
from fdref.forward_pass import forward
from fdref.layers import (
    BatchNorm,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Layer,
    Maximum,
    Normalize,
    Pad,
    Pool,
    PReLU,
    Product,
    ReLU,
    Scale,
    Shuffle,
    Softmax,
    Sum,
    Upsample,
)
from fdref.network import Network
from fdref.operations import correlate, pool, substitute, unpool
from fdref.weights import Digits, Mnist, load, mnist, save

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "BatchNorm",
    "Channels",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Digits",
    "Dropout",
    "Elementwise",
    "Evaluation",
    "FdrefError",
    "FileError",
    "Layer",
    "Maximum",
    "Mnist",
    "Network",
    "NetworkError",
    "Normalize",
    "PReLU",
    "Pad",
    "Pool",
    "Product",
    "ReLU",
    "Scale",
    "Shuffle",
    "Softmax",
    "Sum",
    "Upsample",
    "correlate",
    "decode",
    "decode_all",
    "evaluate",
    "forward",
    "load",
    "mnist",
    "pool",
    "receptive_field",
    "respond",
    "save",
    "substitute",
    "unpool",
]
