"""What the inputs of an ONNX graph are: maps of images, in whichever order of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.errors import NetworkError, one_line
from fdref.geometry import LARGEST_NUMBER
from fdref.weights.onnx.views import BATCH, C, H, Lengths, N, View, W, plain, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.geometry import Pair
    from fdref.weights.onnx.model import Model, Node, Shape

TO_CHANNELS_FIRST = [0, 3, 1, 2]
"""The order of axes by which (N, H, W, C) becomes (N, C, H, W)."""


def input_views(model: Model, nodes: Sequence[Node], input_size: Pair | None) -> dict[str, View]:
    """Return the inputs up to the last that some node needs, as maps 0, -1, ...

    Of the others, those that are no maps are left out.

    Raises
    ------
    NetworkError
        For inputs that are no images or vectors, or of unknown channels.
    """
    users = {name: [node for node in nodes if name in node.inputs] for name in model.inputs}
    names = list(model.inputs)
    while names and not users[names[-1]]:
        names.pop()
    batches = {(model.inputs[name] or (None,))[:1] for name in names}
    batch = batches.pop()[0] if len(batches) == 1 else None
    views: dict[str, View] = {}
    for name in names:
        try:
            views[name] = _view(
                -len(views), model.inputs[name], users[name], model, batch or BATCH, input_size
            )
        except NetworkError as error:
            if users[name]:
                raise NetworkError(f"input {one_line(name)!r}: {error}") from None
    return views


def _view(
    number: int,
    lengths: Shape | None,
    users: Sequence[Node],
    model: Model,
    batch: int,
    input_size: Pair | None,
) -> View:
    known: Shape = (None,) * 4 if lengths is None else lengths
    height: int | None
    width: int | None
    last = bool(users) and all(
        node.op == "Transpose" and node.integers("perm") == TO_CHANNELS_FIRST for node in users
    )
    if len(known) == 2:
        channels, height, width = known[1], 1, 1
    elif len(known) == 4:
        channels, height, width = (known[n] for n in ((3, 1, 2) if last else (1, 2, 3)))
        height, width = input_size or (height, width)
    else:
        what = {3: ": it is 1-d", 5: ": it is 3-d"}.get(len(known), "")
        raise NetworkError(f"it has shape {shown(known)}{what}; expected (N, C, H, W)")
    channels = channels or _channels_expected(users, model)
    if channels is None:
        raise NetworkError(
            "its number of channels is left open; expected it in the file: export it with a fixed "
            "one"
        )
    if max(channels, height or 1, width or 1) > LARGEST_NUMBER or batch > BATCH:
        raise NetworkError(f"it has shape {shown(known)}; expected at most {LARGEST_NUMBER} each")
    view = plain(number, Lengths(batch, channels, height, width))
    if len(known) == 2:
        return View(number, view.shape, view.axes[:2])
    return view.transposed([N, H, W, C]) if last else view


def _channels_expected(users: Sequence[Node], model: Model) -> int | None:
    """Return the channels that a convolution over an input is made for."""
    for node in users:
        stored = model.arrays.get(node.inputs[1]) if len(node.inputs) > 1 else None
        if node.op == "Conv" and stored is not None and len(stored.dims) == 4:
            return int(stored.dims[1]) * node.integer("group", 1)
    return None
