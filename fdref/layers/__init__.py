"""The layers of a network: immutable values that are right in themselves."""

from fdref.layers.functions import Dropout, Elementwise, PReLU, ReLU, Softmax
from fdref.layers.joins import Concat, Maximum, Product, Sum
from fdref.layers.numbers import weights
from fdref.layers.rearrangements import Channels, Pad, Shuffle, Upsample
from fdref.layers.scales import BatchNorm, Normalize, Scale
from fdref.layers.unknown import Unknown
from fdref.layers.windows import Conv, ConvTranspose, Pool

__all__ = [
    "OPAQUE",
    "POINTWISE",
    "BatchNorm",
    "Channels",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dropout",
    "Elementwise",
    "Layer",
    "Maximum",
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
    "Unknown",
    "Upsample",
    "weights",
]

Layer = (
    Conv
    | Pool
    | ReLU
    | Normalize
    | BatchNorm
    | Dropout
    | Softmax
    | ConvTranspose
    | Sum
    | Concat
    | Channels
    | Upsample
    | Shuffle
    | Pad
    | Scale
    | PReLU
    | Elementwise
    | Product
    | Maximum
    | Unknown
)

POINTWISE = BatchNorm | Scale | ReLU | PReLU | Elementwise | Dropout | Softmax | Normalize
"""Layers that decoding passes pixel by pixel, but for a factor."""

OPAQUE = Product | Maximum | Unknown
"""Layers that no decoding passes: what they do to their maps is not linear, or not known."""
