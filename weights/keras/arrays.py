"""Where the arrays of each layer lie in the two kinds of files that Keras writes.

In an `.h5` file every layer of the outermost model has a group of its name, with a list of its
arrays; all those of a model within the model are in one list, what is trained first. In the
`model.weights.h5` of a `.keras` file there is a group for each layer, named after its class and
counted, and the arrays are numbered.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from fdref.errors import NetworkError, one_line
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import h5py
    from numpy.typing import NDArray

    from fdref.weights.hdf5 import Hdf5, Place
    from fdref.weights.keras.graph import Model, Spec

ROOTS = ("layers", "_layer_checkpoint_dependencies")
"""What holds a model's layers; the latter in Keras 2.12 to 2.15."""
DEEPEST = 16
"""Groups within each other that are searched for arrays, for a message."""
MOST_LOOKED_AT = 1000
"""How many members are."""


class Arrays(Protocol):
    """Finds the arrays of a layer."""

    def of(self, place: Sequence[Spec], most: int) -> list[NDArray[Any]]:
        """Return a layer's arrays in their order, not more than so many.

        Parameters
        ----------
        place : sequence of Spec
            The models that the layer is in, from outside, and the layer.
        most : int
        """


def counts(spec: Spec) -> tuple[int, int]:
    """Return how many arrays a layer has: those that are trained, those that are not."""
    fields = spec.fields
    bias = int(fields.flag("use_bias", default=True))
    match spec.kind:
        case "Conv2D" | "DepthwiseConv2D" | "Conv2DTranspose" | "Dense":
            return 1 + bias, 0
        case "SeparableConv2D":
            return 2 + bias, 0
        case "PReLU":
            return 1, 0
        case "BatchNormalization":
            trained = [fields.flag(key, default=True) for key in ("scale", "center")]
            return sum(trained), 2
        case "Normalization":
            return 0, 0 if fields.get("mean") is not None else 3
        case _:
            return 0, 0


@dataclass(frozen=True)
class NamedArrays:
    """The arrays of an `.h5` file."""

    file: Hdf5
    group: h5py.Group
    known: dict[Spec, tuple[h5py.Group, dict[Spec, list[str]]]] = field(default_factory=dict)
    """by outer layer, its group, and the names of the arrays of what is in it"""

    def of(self, place: Sequence[Spec], most: int) -> list[NDArray[Any]]:
        """Return a layer's arrays in their order, not more than so many."""
        outer, spec = place[0], place[-1]
        if outer not in self.known:
            self.known[outer] = self._look_up(outer)
        group, names = self.known[outer]
        return [self._read(group, name, spec) for name in names[spec][: most + 1]]

    def _look_up(self, outer: Spec) -> tuple[h5py.Group, dict[Spec, list[str]]]:
        """Find the group of a layer of the outermost model, and the names in it."""
        found = self.file.find(self.group, outer.name, (outer.label,))
        if found is None:
            raise NetworkError(f"the file has no group {one_line(outer.name)!r} with its arrays")
        names = texts(self.file, found, "weight_names", (outer.label,))
        if outer.model is None:
            return found, {outer: names}
        return found, {
            spec: [names[n] for n in own if n < len(names)] for spec, own in _slots(outer).items()
        }

    def _read(self, group: h5py.Group, name: str, spec: Spec) -> NDArray[Any]:
        dataset = self.file.find(group, name, (spec.label,))
        return numbers(self.file, dataset, (f"its array {one_line(name)!r}",))


def _slots(outer: Spec) -> dict[Spec, list[int]]:
    """Return which of a model's arrays are whose: all that are trained come before the others."""
    leaves = [] if outer.model is None else list(outer.model.leaves((outer,)))
    found: dict[Spec, list[int]] = {place[-1]: [] for place in leaves}
    start = 0
    for turn in (0, 1):
        for *models, spec in leaves:
            own = list(counts(spec))
            frozen = not all(s.fields.flag("trainable", default=True) for s in (*models, spec))
            own = [0, sum(own)] if frozen else own
            found[spec].extend(range(start, start + own[turn]))
            start += own[turn]
    return found


def texts(file: Hdf5, node: h5py.HLObject, name: str, place: Place) -> list[str]:
    """Return a list of texts, which Keras cuts into numbered parts where it is long."""
    whole = file.row(node, name, place)
    if whole is not None:
        return whole
    parts: list[str] = []
    number = 0
    while (part := file.row(node, f"{name}{number}", place)) is not None:
        parts.extend(part)
        number += 1
    return parts


@dataclass(frozen=True)
class CountedArrays:
    """The arrays of a `.keras` file, in its `model.weights.h5`."""

    file: Hdf5
    paths: dict[Spec, str]
    """of every layer's group"""

    def of(self, place: Sequence[Spec], most: int) -> list[NDArray[Any]]:
        """Return a layer's arrays in their order, not more than so many."""
        spec = place[-1]
        where = (spec.label,)
        group = self.file.find(self.file.file, f"{self.paths[spec]}/vars", where)
        found: list[NDArray[Any]] = []
        while group is not None and len(found) <= most:
            dataset = self.file.find(group, f"{len(found)}", where)
            if dataset is None:
                break
            found.append(numbers(self.file, dataset, (f"its array {len(found)}",)))
        return found


def counted(file: Hdf5, model: Model) -> CountedArrays:
    """Find the group of every layer of a model."""
    return CountedArrays(file, dict(_paths(file, model, "")))


def _paths(file: Hdf5, model: Model, above: str) -> Iterator[tuple[Spec, str]]:
    roots = [f"{above}{root}" for root in ROOTS]
    root = next((one for one in roots if file.find(file.file, one, (one,)) is not None), roots[0])
    seen: Counter[str] = Counter()
    for spec in model.layers:
        if spec.is_layer:
            name = snake_case(spec.written)
            path = f"{root}/{name}_{seen[name]}" if seen[name] else f"{root}/{name}"
            seen[name] += 1
            yield spec, path
            if spec.model is not None:
                yield from _paths(file, spec.model, f"{path}/")
        else:
            yield spec, ""


def snake_case(name: str) -> str:
    """Return what Keras makes of a class's name.

    >>> snake_case("SeparableConv2D"), snake_case("PReLU")
    ('separable_conv2d', 'p_re_lu')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def numbers(file: Hdf5, node: h5py.HLObject | None, place: Place) -> NDArray[Any]:
    """Read an array of numbers."""
    kind = "nothing" if node is None else file.kind(node)
    if kind != "numbers":
        raise refusal(place, f" is {kind}, expected numbers: save the model as float32")
    return file.array(node, place)


def listed(file: Hdf5, most: int = 6) -> str:
    """Name the first arrays of a file, with their shapes."""
    found = [one for one in islice(_members(file, file.file, "", 0), MOST_LOOKED_AT) if one]
    return ", ".join(found[:most]) + (", ..." if len(found) > most else "")


def _members(file: Hdf5, group: h5py.Group, path: str, depth: int) -> Iterator[str]:
    """Describe everything in a group; what is no array by an empty text."""
    for name in file.members(group, (f"/{path}",)):
        node = file.member(group, name)
        kind = file.kind(node)
        yield f"{one_line(path + name)} {node.shape}" if kind == "numbers" else ""
        if kind == "group" and depth < DEEPEST:
            yield from _members(file, node, f"{path}{name}/", depth + 1)
