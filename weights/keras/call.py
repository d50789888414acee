"""One call of a Keras layer, with all that translating it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.weights.keras.arrays import counts
from fdref.weights.keras.tensors import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Margins, Pair
    from fdref.layers import Layer
    from fdref.weights.keras.arrays import Arrays
    from fdref.weights.keras.config import Fields
    from fdref.weights.keras.graph import Spec
    from fdref.weights.keras.tensors import Drawing, Tensor


@dataclass(frozen=True)
class LayerCall:
    """A layer, what it takes, and the drawing that it is put into."""

    drawing: Drawing
    place: tuple[Spec, ...]
    """the models that it is in, and itself"""
    operands: tuple[Tensor | float | list[Any], ...]
    source: Arrays
    origin: Origin
    made: dict[object, Layer]
    """by what they are made of, layers that were made before: shared weights are kept once"""

    @property
    def fields(self) -> Fields:
        """What the file says of the layer."""
        return self.place[-1].fields

    @property
    def name(self) -> str:
        """Its name, after those of the models that it is in, but for the outermost."""
        return "/".join(spec.name for spec in self.place)

    @property
    def taken(self) -> list[Tensor]:
        """The tensors that it takes."""
        return [one for one in self.operands if not isinstance(one, int | float | list)]

    @property
    def x(self) -> Tensor:
        """The tensor that it takes, where it is one."""
        taken = self.taken
        if len(taken) != 1:
            raise NetworkError(f"it takes {len(taken)} tensors; expected one")
        return taken[0]

    def map(self) -> Tensor:
        """Return the tensor that it takes, where that is a map in the order that it works in."""
        x = self.x
        layout = LAYOUTS.get(self.fields.text("data_format", "channels_last"))
        if self.fields.get("data_format") is None:  # older layers do not say
            layout = x.axes
        if x.flat or x.axes != layout:
            found = "a row of numbers" if x.flat else f"a map whose axes are {'x'.join(x.axes)}"
            raise NetworkError(
                f"it takes {found}; expected axes HxWxC, or CxHxW with data_format channels_first"
            )
        return x

    def arrays(self, *shapes: tuple[int | None, ...]) -> list[NDArray[Any]]:
        """Read its arrays, of shapes where None is any length."""
        found = self.source.of(self.place, sum(counts(self.place[-1])))
        if len(found) != len(shapes):
            raise NetworkError(f"it has {len(found)} arrays in the file; expected {len(shapes)}")
        for number, (array, shape) in enumerate(zip(found, shapes, strict=True), 1):
            fits = len(array.shape) == len(shape) and all(
                wanted in (None, length) for length, wanted in zip(array.shape, shape, strict=True)
            )
            if not fits:
                wanted = tuple("any" if n is None else n for n in shape)
                raise NetworkError(f"its array {number} has shape {array.shape}; expected {wanted}")
            if shape and array.dtype.kind != "f":
                raise NetworkError(
                    f"its array {number} is of {array.dtype}; expected floating-point numbers: "
                    "save the model before it is quantised"
                )
            # the transposed array, the layer's own copy, and whether each number is finite
            self.drawing.budget.take((self.name,), array.nbytes)
            self.drawing.budget.spare((self.name,), array.nbytes + array.size)
        return found

    def once(self, key: object, make: Callable[[], Layer]) -> Layer:
        """Make a layer, or return the one that an earlier call made of the same arrays."""
        key = self.place[-1], key
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def add(self, layer: Layer, *taken: Tensor) -> Tensor:
        """Put a layer on tensors."""
        return self.drawing.add(layer, *taken)

    def margins(self, window: Pair, stride: Pair) -> Margins:
        """Return the zeros around a map, which `same` makes depend on its size."""
        if self.fields.word("padding", "valid", "valid", "same") == "valid":
            return 0, 0, 0, 0
        if stride == (1, 1):
            total = [window[0] - 1, window[1] - 1]
        else:
            size = self.x.known_size("the padding 'same' of a stride")
            # as many positions as there are strides begun
            steps = [-(-size[a] // stride[a]) - 1 for a in (0, 1)]
            total = [max(0, steps[a] * stride[a] + window[a] - size[a]) for a in (0, 1)]
        top, left = total[0] // 2, total[1] // 2  # the odd zero is below and on the right
        return top, total[0] - top, left, total[1] - left


@dataclass(frozen=True)
class Origin:
    """Who wrote a file."""

    version: str
    backend: str

    @property
    def major(self) -> int:
        """The first number of the version, which files of Keras 1 may not tell."""
        first = self.version.partition(".")[0]
        return min(int(first), 3) if first.isdecimal() and len(first) < 3 else 1

    @property
    def convolves(self) -> bool:
        """Whether kernels are turned by half: Theano convolves, where all others correlate."""
        return self.backend == "theano"


def contiguous(array: NDArray[Any], axes: Sequence[int]) -> NDArray[Any]:
    """Put axes into another order, numbers too."""
    return np.ascontiguousarray(array.transpose(axes))
