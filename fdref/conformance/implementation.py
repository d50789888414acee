"""An implementation whose parts can be exchanged, one at a time, for wrong ones.

It follows SPECIFICATION.md, over the plain operations of `fdref.reference`, in float64.
`fdref.conformance.mistakes` makes the wrong ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from fdref import reference
from fdref.conformance.compute import result_type
from fdref.conformance.networks import network_of
from fdref.evaluation import compare
from fdref.geometry import stack_windows
from fdref.layers import BatchNorm, Conv, Dropout, Normalize, Pool, ReLU, Softmax
from fdref.network import Network
from fdref.pointwise import normalize, relu, scale, softmax

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.conformance.case import Arrays, Case
    from fdref.geometry import Margins, Pair, ReceptiveField
    from fdref.layers import Layer
    from fdref.resize import Method

    Outputs = dict[str, NDArray[Any]]
    Parameters = Mapping[str, Any]

NO_PAD = (0, 0, 0, 0)


def conv_like(layer: Conv, **changes: Any) -> Conv:
    """Return a convolution that differs in some parameters."""
    same = {name: getattr(layer, name) for name in ("filters", "bias", "stride", "pad", "dilate")}
    return Conv(**(same | changes))


class Implementation:
    """The right one. What it computes is that of `fdref.conformance.compute.compute`."""

    def outputs(self, case: Case, folder: Path | None = None) -> Outputs:
        """Return the outputs of a case, in the type of its inputs."""
        found: Outputs
        inputs = {name: values.astype(np.float64) for name, values in case.inputs.items()}
        if case.operation in ("forward", "decode", "evaluate"):
            described = network_of(case.parameters, inputs, folder)
            layers = [self.read(layer) for layer in described]
            net = Network(layers, input_channels=described.channels[0])
            found = getattr(self, f"_{case.operation}_outputs")(net, inputs, case.parameters)
        else:
            found = getattr(self, f"_{case.operation}_outputs")(inputs, case.parameters)
        if case.operation == "receptive_field":
            return found
        dtype = result_type(case.inputs)
        return {name: np.asarray(values, dtype) for name, values in found.items()}

    # Layers

    def read(self, layer: Layer) -> Layer:
        """Take a layer as the case gives it."""
        return layer

    def output(self, layer: Layer, x: Array) -> Array:
        """Return what a layer makes of maps."""
        match layer:
            case Conv():
                return self.correlate(x, layer)
            case Pool():
                return self.pool(x, layer)
            case ReLU():
                return self.relu(x, layer)
            case Normalize():
                return self.normalize(x, layer)
            case BatchNorm():
                return scale(x, layer.scale(x.dtype), layer.bias, layer.mean)
            case Softmax():
                return self.softmax(x)
            case Dropout():
                return x
            case _:
                raise NotImplementedError(f"the kit has no {layer.kind} layers")

    def correlate(self, x: Array, layer: Conv) -> Array:
        """Section 2.1."""
        return reference.correlate(
            x, layer.filters, layer.bias, layer.stride, layer.pad, layer.dilate
        )

    def pool(self, x: Array, layer: Pool) -> Array:
        """Section 2.2."""
        return reference.pool(x, layer.window, layer.stride, layer.pad, layer.method)

    def relu(self, x: Array, layer: ReLU) -> Array:
        """Section 2.3."""
        return relu(x, layer.leak)

    def normalize(self, x: Array, layer: Normalize) -> Array:
        """Section 2.4."""
        return normalize(x, layer.size, layer.kappa, layer.alpha, layer.beta)

    def softmax(self, x: Array) -> Array:
        """Section 2.6."""
        return softmax(x)

    def forward(self, layers: Iterable[Layer], x: Array) -> list[Array]:
        """Section 2.6: what each layer gives."""
        maps = [x]
        for layer in layers:
            maps.append(self.output(layer, maps[-1]))
        return maps[1:]

    # Decoding

    def substitute(self, maps: Array, layer: Conv, groups: int) -> Array:
        """Section 3.1."""
        return reference.substitute(maps, layer.filters, layer.stride, layer.dilate, groups)

    def unpool(self, maps: Array, layer: Pool, method: Method) -> Array:
        """Section 4."""
        return reference.unpool(maps, layer.stride, layer.window, method)

    def decode(
        self, net: Network, number: int, filters: Sequence[int], method: Method
    ) -> list[Array]:
        """Section 3.2: every stage on the way down."""
        stages = [self.top(cast("Conv", net[number]), net.groups(number), filters)]
        for below in range(number - 1, 0, -1):
            stages.append(self.down(net[below], net.groups(below), stages[-1], method))
        return stages

    def top(self, layer: Conv, groups: int, filters: Sequence[int]) -> Array:
        """Return filters as pictures: each is what one pixel of its channel is replaced by."""
        pixels = np.eye(len(layer.filters))[list(filters), :, None, None]
        return reference.substitute(pixels, layer.filters, (1, 1), layer.dilate, groups)

    def down(self, layer: Layer, groups: int, pictures: Array, method: Method) -> Array:
        """Go down through one layer."""
        match layer:
            case Conv():
                return self.substitute(pictures, layer, groups)
            case Pool():
                return self.unpool(pictures, layer, method)
            case BatchNorm():
                return scale(pictures, layer.scale(pictures.dtype))
            case _:
                return pictures

    # What a decoded filter answers

    def field(self, layers: Sequence[Layer]) -> ReceptiveField:
        """Section 5.1."""
        return stack_windows(windows(layers))

    def respond(
        self, images: Array, bank: Conv, offset: Sequence[int], output: Sequence[int]
    ) -> Array:
        """Section 5.2; the bank's stride is the jump."""
        edges = [(0, 0), (0, 0)]
        for axis, count in enumerate(output):
            before = -offset[axis]
            reach = (count - 1) * bank.stride[axis] + bank.window[axis] - before
            edges.append((before, max(0, reach - images.shape[2 + axis])))
        response = self.correlate(np.pad(images, edges), bank)
        return response[:, :, : output[0], : output[1]]

    def evaluate(
        self, net: Network, number: int, images: Array, method: Method
    ) -> tuple[Array, Array]:
        """Return the response of a layer and what its decoded filters predict."""
        response = self.forward(net.layers[:number], images)[-1]
        bank = self.decode(net, number, range(net.channels[number]), method)[-1]
        field = self.field(net.layers[:number])
        filters = Conv(bank, stride=field.stride)
        return response, self.respond(images, filters, field.offset, response.shape[2:])

    def compare(self, response: Array, predicted: Array) -> tuple[Array, Array]:
        """Section 6: the error and the correlation coefficient of each image."""
        errors, correlations = compare(response, predicted)
        return errors, correlations

    def spread(self, errors: Array) -> Array:
        """Section 6: the standard deviation of the errors."""
        return np.asarray(errors.std())

    # From inputs and parameters to outputs, by names

    def _correlate_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:
        layer = Conv(
            inputs["filters"], inputs.get("bias"), known["stride"], known["pad"], known["dilate"]
        )
        return {"response": self.output(self.read(layer), inputs["images"])}

    def _pool_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:
        return {"pooled": self.output(self.read(Pool(**known)), inputs["images"])}

    def _relu_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:
        return {"rectified": self.output(self.read(ReLU(**known)), inputs["images"])}

    def _normalize_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:
        return {"normalized": self.output(self.read(Normalize(**known)), inputs["images"])}

    def _bnorm_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:  # noqa: ARG002
        layer = BatchNorm(inputs["gain"], inputs["bias"], *inputs["moments"].T)
        return {"normalized": self.output(self.read(layer), inputs["images"])}

    def _forward_outputs(
        self,
        net: Network,
        inputs: Arrays,
        known: Parameters,  # noqa: ARG002
    ) -> Outputs:
        maps = self.forward(net, inputs["images"])
        return {f"layer{number}": values for number, values in enumerate(maps, 1)}

    def _substitute_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:
        layer = self.read(Conv(inputs["filters"], None, known["stride"], 0, known["dilate"]))
        pictures = self.substitute(inputs["maps"], cast("Conv", layer), known["groups"])
        return {"pictures": pictures}

    def _unpool_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:
        layer = self.read(Pool(known["window"], known["stride"]))
        return {"pictures": self.unpool(inputs["maps"], cast("Pool", layer), known["method"])}

    def _decode_outputs(
        self,
        net: Network,
        inputs: Arrays,  # noqa: ARG002
        known: Parameters,
    ) -> Outputs:
        stages = self.decode(net, known["layer"], known["filters"], known["unpool"])
        return {f"stage{stage}": pictures for stage, pictures in enumerate(stages, 1)}

    def _receptive_field_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:  # noqa: ARG002
        layers = [
            self.read(Conv(np.zeros((1, 1, *own["window"])), None, own["stride"], own["pad"]))
            for own in known["network"]
        ]
        field = self.field(layers)
        return {name: np.array(getattr(field, name)) for name in ("size", "stride", "offset")}

    def _respond_outputs(self, inputs: Arrays, known: Parameters) -> Outputs:
        bank = cast("Conv", self.read(Conv(inputs["bank"], stride=known["stride"])))
        response = self.respond(inputs["images"], bank, known["offset"], known["output"])
        return {"response": response}

    def _evaluate_outputs(self, net: Network, inputs: Arrays, known: Parameters) -> Outputs:
        found = self.evaluate(net, known["layer"], inputs["images"], known["unpool"])
        errors, correlations = self.compare(*found)
        return {
            "response": found[0],
            "predicted": found[1],
            "errors": errors,
            "correlations": correlations,
            "mean": np.asarray(errors.mean()),
            "std": self.spread(errors),
        }


class Wrong(Implementation):
    """One that is wrong in one respect."""

    name: ClassVar[str]
    sentence: ClassVar[str]
    """What it does, and what it should do."""
    operations: ClassVar[tuple[str, ...]] = ()
    """Where that can show."""


def windows(layers: Sequence[Layer]) -> list[tuple[Pair, Pair, Margins]]:
    """Return what each layer's pixels see of the layer below: size, stride and padding."""
    return [
        (layer.window, layer.stride, layer.pad)
        if isinstance(layer, Conv | Pool)
        else ((1, 1), (1, 1), NO_PAD)
        for layer in layers
    ]
