"""A network out of a Keras model: every call is translated in turn, models within models inline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fdref.errors import ArgumentError, FileError, NetworkError, one_line
from fdref.network.graph import Network
from fdref.weights.keras.call import LayerCall
from fdref.weights.keras.config import input_shape
from fdref.weights.keras.table import KINDS, check_known
from fdref.weights.keras.tensors import LAYOUTS, Drawing, Tensor
from fdref.weights.keras.wires import Ref

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.weights.bounded import Budget
    from fdref.weights.keras.arrays import Arrays
    from fdref.weights.keras.call import Origin
    from fdref.weights.keras.graph import Model, Spec
    from fdref.weights.keras.wires import Call


def network_of(
    model: Model, arrays: Arrays, origin: Origin, budget: Budget, input_size: Pair | None
) -> Network:
    """Put a network together.

    Parameters
    ----------
    model : Model
    arrays : Arrays
        Where the weights are.
    origin : Origin
        Who wrote the file.
    budget : Budget
    input_size : (height, width), optional
        Of the images, in place of the file's own.

    Raises
    ------
    NetworkError
        Naming the layer that cannot be said in fdref's, or does not fit.
    FileError
        If an array is damaged, or it would take too much memory.
    """
    leaves = [place[-1] for place in model.leaves()]
    check_known(leaves)
    images = [
        _image(-number, model.layers[ref.layer], _layout(leaves), input_size)
        for number, ref in enumerate(model.inputs)
    ]
    translation = _Translation(Drawing(budget), arrays, origin)
    translation.outputs(model, images, ())
    sizes = {image.size for image in images}
    return Network(
        translation.drawing.layers,
        wiring=translation.drawing.wiring,
        input_size=sizes.pop() if len(sizes) == 1 else None,
        input_channels=[image.channels for image in images],
        provenance=f"Keras {one_line(origin.version or '1')}, model {one_line(model.name)!r}",
    )


def _layout(leaves: Sequence[Spec]) -> str:
    """Return the order of the images' axes: that of the first layer that tells one."""
    found = (spec.fields.get("data_format") for spec in leaves)
    return next((LAYOUTS[one] for one in found if isinstance(one, str) and one in LAYOUTS), "HWC")


def _image(number: int, spec: Spec, layout: str, input_size: Pair | None) -> Tensor:
    """Make the tensor of an input."""
    shape = input_shape(spec.fields)
    if shape is None or not 1 <= len(shape) <= 3:
        raise NetworkError(
            f"{spec.label} takes {shape}; expected an image, HxWxC or HxW, or a row of numbers"
        )
    axes = {1: "C", 2: "HW", 3: layout}[len(shape)]
    lengths = dict(zip(axes, shape, strict=True))
    channels = lengths.get("C", 1)
    if channels is None:
        raise NetworkError(
            f"{spec.label} takes images of any number of channels; expected one: build the model "
            "for so many, and load its weights"
        )
    if axes == "C":
        return Tensor(number, channels, (1, 1), "HWC", flat=True)
    height, width = lengths["H"], lengths["W"]
    told = None if height is None or width is None else (height, width)
    return Tensor(number, channels, input_size or told, axes)


@dataclass
class _Translation:
    drawing: Drawing
    source: Arrays
    origin: Origin
    made: dict[object, Layer] = field(default_factory=dict)

    def outputs(
        self, model: Model, taken: Sequence[Tensor], within: tuple[Spec, ...]
    ) -> list[Tensor]:
        """Translate a model's calls, and return what it makes of what it takes."""
        if len(taken) != len(model.inputs):
            raise NetworkError(f"it takes {len(taken)} tensors; expected {len(model.inputs)}")
        found: dict[tuple[int, int], list[Tensor]] = {
            (ref.layer, ref.call): [x] for ref, x in zip(model.inputs, taken, strict=True)
        }

        def tensor(ref: Ref) -> Tensor:
            several = found[ref.layer, ref.call]
            if ref.output >= len(several):
                raise NetworkError(
                    f"output {ref.output} of {model.layers[ref.layer].label} is taken; "
                    f"expected one of {len(several)}"
                )
            return several[ref.output]

        for at in model.order:
            if at not in found:
                spec = model.layers[at[0]]
                call = spec.calls[at[1]]
                try:
                    operands = [
                        tensor(one) if isinstance(one, Ref) else one for one in call.operands
                    ]
                    found[at] = self.made_by(spec, call, operands, within)
                except (NetworkError, ArgumentError, FileError) as error:
                    family = FileError if isinstance(error, FileError) else NetworkError
                    raise family(f"{spec.label}: {error}") from None
        return [tensor(ref) for ref in model.outputs]

    def made_by(
        self, spec: Spec, how: Call, operands: Sequence[Any], within: tuple[Spec, ...]
    ) -> list[Tensor]:
        """Translate one call."""
        if how.trains:
            raise NetworkError("it is called with training=True; expected inference")
        self.drawing.budget.take((spec.label,), values=1)
        place = (*within, spec)
        if spec.kind == "InputLayer":
            raise NetworkError("it is no input of its model; expected it among `input_layers`")
        if spec.model is not None:
            taken = [one for one in operands if isinstance(one, Tensor)]
            return self.outputs(spec.model, taken, place)
        call = LayerCall(self.drawing, place, tuple(operands), self.source, self.origin, self.made)
        return [KINDS[spec.kind](call)]
