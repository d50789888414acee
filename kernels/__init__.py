"""Compiled loops over arrays that are already checked, into buffers that the caller owns.

Every loop runs in one thread, without the GIL, and adds in the arrays' own precision, strictly in
the order written: the same input gives the same bits, always.
"""

from fdref.kernels.comparison import compare
from fdref.kernels.correlation import correlate
from fdref.kernels.patches import gather_patches, scatter_patches
from fdref.kernels.pooling import (
    average_pool,
    average_pool_gradient,
    max_pool,
    max_pool_gradient,
)
from fdref.kernels.substitution import add_stamps, substitute
from fdref.kernels.tiles import add_tiles, gather_tiles, transform_maps
from fdref.kernels.unpooling import enlarge

__all__ = [
    "add_stamps",
    "add_tiles",
    "average_pool",
    "average_pool_gradient",
    "compare",
    "correlate",
    "enlarge",
    "gather_patches",
    "gather_tiles",
    "max_pool",
    "max_pool_gradient",
    "scatter_patches",
    "substitute",
    "transform_maps",
]
