"""Projection of activations to the image: the walk of the gradient, with four rules.

Zeiler & Fergus's deconvnet takes the activations that are kept down by switches: of a max pool all
goes to where the maximum was, and what is negative is dropped wherever the network rectifies. The
rules differ in what a ReLU lets through, on the way up x, on the way down d:

========= =========================== ======================================================
rule      a ReLU hands down           source
========= =========================== ======================================================
gradient  d where x > 0               Simonyan et al., arXiv 1312.6034
deconvnet d where d > 0               Zeiler & Fergus, "Visualizing and Understanding
                                      Convolutional Networks", arXiv 1311.2901
guided    d where x > 0 and d > 0     Springenberg et al., arXiv 1412.6806
linear    d                           filter decoding, with switches for unpooling
========= =========================== ======================================================

Where a ReLU has a leak, that multiplies what is not let through (under guided once for each of the
two conditions that fail). Other functions of each pixel, and normalisation over channels, hand d
down as it is, but for the gradient, which goes through their derivatives. Biases have no part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never, get_args

import numpy as np

from fdref import layers as kinds
from fdref.arguments import callback, one_of
from fdref.errors import ArgumentError
from fdref.network.fields import Box, ancestors, descend
from fdref.walk.gradient import Gradient, leak
from fdref.walk.kept import Kept, read_kept
from fdref.walk.pictures import Picture
from fdref.walk.together import Block, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.network.graph import Network
    from fdref.walk.adjoint import NonLinear

Rule = Literal["gradient", "deconvnet", "guided", "linear"]
RULES: tuple[Rule, ...] = get_args(Rule)


def project(
    net: Network,
    acts: Sequence[ArrayLike],
    layer: int | str,
    kept: ArrayLike,
    rule: Rule = "deconvnet",
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
) -> Array:
    """Project activations of a layer down to the image: deconvnet, guided, gradient or linear.

    What is kept goes down with its value, all else is 0; the way is that of the image in which it
    was: its switches, and what its ReLUs let through.

    Parameters
    ----------
    net : Network
        Of one input.
    acts : list of arrays
        What `forward` returned for (N, C, H, W) images, up to the layer at least.
    layer : int or str
        Number from 1, or name.
    kept : (K, 4) array of int, or (N, C_l, H_l, W_l) array of bool
        Units by image, channel, row and column, each projected by itself; or a truth value for each
        activation: those of an image are projected together.
    rule : "deconvnet", "gradient", "guided" or "linear"
        What ReLUs let through: all but "gradient" must start below a softmax.
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each block of pictures with their number.

    Returns
    -------
    (K, C, H, W) or (N, C, H, W) array
        One picture for each unit, or each image.

    Raises
    ------
    ArgumentError
        If `acts` are not of this network, or what is kept does not stand in them; for unknown
        names; if a softmax lies below, for another rule than the gradient.
    NetworkError
        If a layer of unknown type lies below.

    Notes
    -----
    M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", section 2.1.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> acts = fdref.forward(net, net.prepare(fdref.mnist().test.images[:3]), last=5)
    >>> strongest = acts[5][2].argmax()
    >>> pictures = fdref.project(net, acts, layer=5, kept=[[2, strongest, 0, 0]])
    >>> pictures.shape
    (1, 1, 28, 28)
    """
    callback(progress, "progress")
    units = _checked(net, acts, layer, kept, rule, engine)
    pictures = np.zeros((len(units.kept), *units.maps[0].shape[1:]), units.maps[0].dtype)
    for block in blocks(units):
        rules = Projection(units.net, units.maps, units.engine, rule, block.images, block.moves)
        reached = descend(units.net, {units.number: block.start}, rules.united, rules.below)
        block.lay(pictures, 0, reached[0])
        if progress is not None:
            progress(len(block.numbers))
    return pictures


def project_stages(
    net: Network,
    acts: Sequence[ArrayLike],
    layer: int | str,
    kept: ArrayLike,
    rule: Rule = "deconvnet",
    engine: Engine | str = "compiled",
) -> list[Array]:
    """Project activations of a layer, and keep what stands on every map on the way down.

    Parameters and errors are those of `project`.

    Returns
    -------
    list of arrays
        First what was kept, over the layer's own map, then over that of each map on the way, in
        reverse order; the last is what `project` returns.

    Examples
    --------
    >>> import fdref
    >>> net = fdref.load()
    >>> acts = fdref.forward(net, net.prepare(fdref.mnist().test.images[:1]), last=3)
    >>> [stage.shape for stage in fdref.project_stages(net, acts, 3, [[0, 7, 4, 4]])]
    [(1, 50, 8, 8), (1, 20, 12, 12), (1, 20, 24, 24), (1, 1, 28, 28)]
    """
    units = _checked(net, acts, layer, kept, rule, engine)
    noted = {
        number: np.zeros((len(units.kept), *units.maps[number].shape[1:]), units.maps[number].dtype)
        for number in ancestors(units.net, units.number)
    }

    for block in blocks(units):
        rules = Projection(units.net, units.maps, units.engine, rule, block.images, block.moves)

        def unite_and_note(
            number: int,
            pictures: Sequence[Picture],
            rules: Projection = rules,
            block: Block = block,
        ) -> Picture:
            whole = rules.united(number, pictures)
            block.lay(noted[number], number, whole)
            return whole

        descend(units.net, {units.number: block.start}, unite_and_note, rules.below)
    return list(noted.values())


def _checked(
    net: Network,
    acts: Sequence[ArrayLike],
    layer: int | str,
    kept: ArrayLike,
    rule: Rule,
    engine: Engine | str,
) -> Kept:
    """Read what is to be projected, and see that the rule leads down to the image."""
    one_of(rule, "rule", RULES)
    units = read_kept(net, acts, layer, kept, engine)
    for number in ancestors(units.net, units.number):
        if number > 0 and isinstance(units.net[number], kinds.Softmax) and rule != "gradient":
            raise ArgumentError(
                f"{units.net.describe(number)} has no part in the rule {rule!r}; expected a layer "
                "below it, or the rule 'gradient'"
            )
    return units


class Projection(Gradient):
    """The rules of projection, for units of which several may stand in one image.

    Parameters
    ----------
    net : Network
    maps : mapping
        What the forward pass made of images, by number of the map.
    engine : Engine
    rule : str
    images : (K,) array of int
        The image of each of the units that are taken down.
    moves : mapping, optional
        Rows and columns (K, 2) that each unit's part of a map lies off where pictures say.
    """

    def __init__(
        self,
        net: Network,
        maps: Mapping[int, Array],
        engine: Engine,
        rule: Rule,
        images: NDArray[np.intp],
        moves: Mapping[int, NDArray[np.intp]] | None = None,
    ) -> None:
        super().__init__(net, maps, engine)
        self.rule, self.images, self.moves = rule, images, moves or {}

    def part(self, number: int, box: Box) -> Array:
        """Return part of a map, of each unit's image, where the unit sees it."""
        if number in self.moves:
            down, across = self.moves[number].T[:, :, None]
            # Indices (K, 1, h, 1) and (K, 1, 1, w): each unit's own rows and columns.
            rows = (down + np.arange(box.top, box.bottom + 1))[:, None, :, None]
            columns = (across + np.arange(box.left, box.right + 1))[:, None, None, :]
            channels = np.arange(self.maps[number].shape[1])[:, None, None]
            seen: Array = self.maps[number][
                self.images[:, None, None, None], channels, rows, columns
            ]
            return seen
        return np.ascontiguousarray(self.maps[number][self.images, :, box.rows, box.columns])

    def derived(self, layer: NonLinear, number: int, picture: Picture) -> list[Array]:
        """Return what is handed down to each map that a layer takes pixel by pixel."""
        if self.rule == "gradient":
            return super().derived(layer, number, picture)
        match layer:
            case kinds.ReLU() | kinds.PReLU():
                return [self._rectified(layer, number, picture)]
            case kinds.Elementwise() | kinds.Normalize():
                return [picture.values]
            case kinds.Product() | kinds.Maximum():  # gates and switches, as the image set them
                return super().derived(layer, number, picture)
            case kinds.Softmax() | kinds.Pool():
                raise AssertionError(layer)  # the first was refused, the other has windows
            case _:
                assert_never(layer)

    def _rectified(self, layer: kinds.ReLU | kinds.PReLU, number: int, picture: Picture) -> Array:
        """Drop what is negative on the way down, on the way up, both or neither."""
        delta = picture.values
        if self.rule != "linear":
            delta = np.where(delta > 0, delta, delta * leak(layer, delta.dtype))
        if self.rule != "guided":
            return delta
        (both,) = super().derived(layer, number, Picture(delta, picture.origin))
        return both
