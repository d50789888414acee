"""Networks as the bytes of a file, which are read back before anybody gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import FdrefError, FileError, NetworkError
from fdref.network.sizes import sizes_from
from fdref.walk.forward import forward
from fdref.weights.bounded import Budget
from fdref.weights.matconvnet import network_from
from fdref.weights.matconvnet_write import check_same, variables_of
from fdref.weights.matlab import variables
from fdref.weights.matlab_write import encoded

if TYPE_CHECKING:
    from fdref.geometry import Pair
    from fdref.network.graph import Network

NEAR = 1e-5
"""Of the largest number that a network answers with: what float32 and another order may change."""
SIDES = tuple(2**n for n in range(11))
"""Sizes of images to try a network with that is for any."""


def matlab_bytes(net: Network) -> bytes:
    """Return a network as a MATLAB v7.3 file, of which `load` makes an equal one.

    Raises
    ------
    NetworkError, ArgumentError
        If it would not.
    """
    data = encoded(variables_of(net))
    budget = Budget()
    try:
        again = network_from(variables(data, "the network", budget), budget)
    except FileError as error:
        raise NetworkError(f"{net!r} cannot be written so that it can be read: {error}") from None
    check_same(net, again)
    return data


def onnx_bytes(net: Network) -> bytes:
    """Return a network as an ONNX file, of which `load` makes one that computes the same.

    Raises
    ------
    NetworkError
        If it would not.
    DependencyError
        If the package onnx is not installed.
    """
    from fdref.weights import onnx  # noqa: PLC0415 - many small modules, rarely needed

    data = onnx.encoded_onnx(net)
    try:
        again = onnx.network_from_bytes(data, name="the network", input_size=net.input_size)
    except FileError as error:
        raise NetworkError(f"{net!r} cannot be written so that it can be read: {error}") from None
    if again != net:
        _check_computes_the_same(net, again)
    return data


def _check_computes_the_same(net: Network, again: Network) -> None:
    """Try both with the same images; factors of sums, say, become layers of their own."""
    size, random = net.input_size or _fitting(net), np.random.default_rng(0)
    inputs = [random.standard_normal((1, count, *size)) for count in net.input_channels]
    x = inputs[0] if net.inputs == 1 else inputs
    ours, theirs = (forward(one, x, "reference")[-1] for one in (net, again))
    bound = NEAR * max(1e-30, float(np.abs(ours).max()))
    if ours.shape != theirs.shape or not np.abs(ours - theirs).max() <= bound:
        raise NetworkError(f"{net!r} cannot be written, it would come back as another network")


def _fitting(net: Network) -> Pair:
    """Return a size of images that a network takes."""
    for side in SIDES:
        try:
            sizes_from(net, [(side, side)] * net.inputs)
        except FdrefError:
            continue
        return side, side
    raise NetworkError(f"{net!r} takes no images of up to {SIDES[-1]} pixels; give it input_size")
