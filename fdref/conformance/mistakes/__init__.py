"""The mistakes that people make, each as fdref with one thing wrong."""

from fdref.conformance.mistakes import (
    convolutions,
    decoding,
    judging,
    layers,
    occlusions,
    pools,
    precision,
    projections,
    resizing,
    substitutions,
    unpooling,
)
from fdref.conformance.mistakes.mistake import Mistake

__all__ = ["MISTAKES", "Mistake"]

MISTAKES: tuple[Mistake, ...] = (
    *convolutions.ALL,
    *precision.ALL,
    *pools.ALL,
    *layers.ALL,
    *substitutions.ALL,
    *decoding.ALL,
    *resizing.ALL,
    *unpooling.ALL,
    *projections.ALL,
    *occlusions.ALL,
    *judging.ALL,
)
"""All that the diagnosis knows."""
