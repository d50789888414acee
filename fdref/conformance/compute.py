"""The outputs of a case, by fdref's own public functions over an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

import fdref
from fdref.conformance.case import result_type
from fdref.conformance.networks import layer_of, network_of
from fdref.engines import engine_named
from fdref.errors import ArgumentError, NetworkError
from fdref.layers import Conv, Pool
from fdref.measure.evaluation import Evaluation, compare
from fdref.network.graph import Network
from fdref.network.units import receptive_field, unit_at
from fdref.walk.down import Decoding
from fdref.walk.forward import output
from fdref.walk.projection import Projection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.conformance.case import Arrays, Case
    from fdref.conformance.occlusion import BruteForce
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.geometry import Pair, ReceptiveField
    from fdref.layers import Layer

    Outputs = dict[str, NDArray[Any]]
    Parameters = Mapping[str, Any]


Kind = TypeVar("Kind", bound="Layer")

RESULTS = {
    "correlate": "response",
    "pool": "pooled",
    "relu": "rectified",
    "normalize": "normalized",
    "bnorm": "normalized",
}
"""What the output of a layer by itself is called."""

OCCLUDED = ("map", "activity", "probability", "label")
"""The outputs of `occlude`."""


def compute(case: Case, engine: Engine | str = "compiled", folder: Path | None = None) -> Outputs:
    """Return the outputs of a case in the order of its stages.

    Parameters
    ----------
    case : Case
    engine : "compiled", "reference" or Engine
    folder : path, optional
        The kit's, where the file of a network lies; by default the shipped one is taken.

    Returns
    -------
    dict
        Arrays by name, in the type of the inputs. Of a case that must be refused, ``refused``:
        1 if it was, 0 if not.

    Raises
    ------
    FdrefError
        If the case cannot be computed although it is not to be refused.
    """
    question = case.operation, case.inputs, case.parameters
    if not case.refused:
        return call(*question, engine, folder)
    try:
        call(*question, engine, folder)
    except (ArgumentError, NetworkError):  # a file that cannot be read is no answer
        return {"refused": np.array(1)}
    return {"refused": np.array(0)}


def call(
    operation: str,
    inputs: Arrays,
    parameters: Parameters,
    engine: Engine | str = "compiled",
    folder: Path | None = None,
) -> Outputs:
    """Carry out one operation of SPECIFICATION.md, in the type of the inputs.

    Raises
    ------
    FdrefError
        For an unknown operation, or inputs that it refuses.
    """
    with np.errstate(all="ignore"):  # some cases are of NaN and infinities
        return rounded(Library(engine, folder).outputs(operation, inputs, parameters), inputs)


def rounded(found: Outputs, inputs: Arrays) -> Outputs:
    """Round results to the type of the inputs, but for whole numbers."""
    dtype = result_type(inputs)
    return {
        name: values if values.dtype.kind == "i" else np.asarray(values, dtype)
        for name, values in found.items()
    }


@dataclass(frozen=True)
class Library:
    """What a kit asks of fdref; whoever wants it wrong gives other parts."""

    engine: Engine | str = "compiled"
    folder: Path | None = None
    question: Callable[[str, Arrays, Parameters], tuple[Arrays, Parameters]] | None = None
    """takes an operation, its inputs and parameters, and gives those that are answered"""
    read: Callable[[Layer], Layer] | None = None
    """takes a layer as the case gives it"""
    rules: type[Decoding] | None = None
    """by which a filter is taken down"""
    way: type[Projection] | None = None
    """by which activations are taken down"""
    start: Callable[[Array, NDArray[np.intp]], Array] | None = None
    """takes a layer's activations and units; gives what goes down for each, over the whole map"""
    sight: type[BruteForce] | None = None
    """by which images are occluded, and what is said of them"""
    field: Callable[[Network, int], ReceptiveField] | None = None
    """of a layer"""
    change: Callable[[Outputs, Network, Arrays, Parameters], Outputs] | None = None
    """what is returned of a network"""
    model: Network | None = None
    """somebody's own, where it lies in no folder yet"""

    def outputs(self, operation: str, inputs: Arrays, known: Parameters) -> Outputs:
        """Carry out one operation, in the type that the engine computes in."""
        if self.question is not None:
            inputs, known = self.question(operation, inputs, known)
        return self._outputs(operation, inputs, known)

    def _outputs(self, operation: str, inputs: Arrays, known: Parameters) -> Outputs:
        match operation:
            case "correlate" | "pool" | "relu" | "normalize" | "bnorm":
                return {RESULTS[operation]: self._layer_alone(operation, inputs, known)}
            case "substitute":
                return {"pictures": self._substituted(inputs["maps"], inputs["filters"], known)}
            case "unpool":
                given: dict[str, Any] = {**inputs, **known}
                return {"pictures": fdref.unpool(**given, engine=self.engine)}
            case "receptive_field":
                return self._receptive_field(known)
            case "respond":
                bank = self._read(Conv(inputs["bank"], stride=known["stride"]))
                place = known["offset"], known["output"]
                return {"response": self._respond(inputs["images"], bank, *place)}
            case "project":
                net = self._network(inputs, known)
                return {"pictures": self._projected(net, inputs["images"], known)}
            case "occlude":
                return self._occluded(self._network(inputs, known), inputs["images"], known)
            case "forward" | "decode" | "evaluate":
                net = self._network(inputs, known)
                found = self._of_network(operation, net, inputs, known)
                if self.change:
                    found = self.change(found, net, inputs, known)
                return asked(found, known)
            case _:
                raise ArgumentError(f"there is no operation {operation!r}; see SPECIFICATION.md")

    def _read(self, layer: Kind) -> Kind:
        return layer if self.read is None else cast("Kind", self.read(layer))

    def _layer_alone(self, operation: str, inputs: Arrays, known: Parameters) -> Array:
        kind = "conv" if operation == "correlate" else operation
        arrays = {"bias": None, **{name: name for name in inputs}}
        layer = self._read(layer_of({"type": kind, **known, **arrays}, inputs))
        images = inputs["images"]
        match layer:
            case Conv(stride=stride, pad=pad, dilate=dilate) if self.read is None:
                weights = layer.filters, layer.bias
                return fdref.correlate(images, *weights, stride, pad, dilate, self.engine)
            case Pool(window=window, stride=stride, pad=pad, method=method) if self.read is None:
                return fdref.pool(images, window, stride, pad, method, self.engine)
            case _:  # what was read wrongly need not fit
                layer.channels_after(images.shape[1])
                engine = engine_named(self.engine)
                dtype = engine.precision(images.dtype)
                return output(layer, [np.ascontiguousarray(images, dtype)], engine)

    def _substituted(self, maps: Array, filters: Array, known: Parameters) -> Array:
        stride, dilate, groups = (known[name] for name in ("stride", "dilate", "groups"))
        if np.isfinite(filters).all():  # else no layer has them
            own = self._read(Conv(filters, None, stride, 0, dilate))
            filters, stride, dilate = own.filters, own.stride, own.dilate
        return fdref.substitute(maps, filters, stride, dilate, groups, self.engine)

    def _receptive_field(self, known: Parameters) -> Outputs:
        layers = [
            self._read(Conv(np.zeros((1, 1, *own["window"])), None, own["stride"], own["pad"]))
            for own in known["network"]
        ]
        field = (self.field or receptive_field)(Network(layers), len(layers))
        return {name: np.array(getattr(field, name)) for name in ("size", "stride", "offset")}

    def _respond(
        self, images: Array, bank: Conv, offset: Sequence[int], output: Sequence[int]
    ) -> Array:
        """Respond as one convolution with windows of the same size at the same places."""
        if bank.filters.shape[1] != images.shape[1]:
            raise ArgumentError(
                f"a bank of shape {bank.filters.shape} does not fit images of {images.shape}"
            )
        if max(offset) > 0:  # no padding says that windows begin further inside
            images = images[:, :, max(offset[0], 0) :, max(offset[1], 0) :]
            offset = [min(first, 0) for first in offset]
        net = _one_window(images, bank, offset, output)
        if self.field is not None:
            offset = self.field(net, 1).offset
            images = images[:, :, max(0, offset[0]) :, max(0, offset[1]) :]
            net = _one_window(images, bank, [min(0, own) for own in offset], output)
        response = fdref.respond(net, 1, bank.filters, images, self.engine)
        return response[:, :, : output[0], : output[1]]

    def _network(self, inputs: Arrays, known: Parameters) -> Network:
        net = network_of(known, inputs, self.folder, self.model)
        if self.read is None:
            return net
        return Network(**net.parts() | {"layers": [self.read(layer) for layer in net]})

    def _of_network(
        self, operation: str, net: Network, inputs: Arrays, known: Parameters
    ) -> Outputs:
        if operation == "forward":
            last = max(known.get("layers", [len(net)]))
            maps = fdref.forward(net, inputs["images"], self.engine, last)[1:]
            return {f"layer{number}": values for number, values in enumerate(maps, 1)}
        if operation == "decode":
            return self._decoded(net, known)
        return self._evaluate(net, inputs["images"], known["layer"], known["unpool"])

    def _decoded(self, net: Network, known: Parameters) -> Outputs:
        number, position = known["layer"], known.get("position")
        question = net, number, known["filters"], known["unpool"], position
        stages = self._stages(*question)
        found = {f"stage{stage}": pictures for stage, pictures in enumerate(stages, 1)}
        if known.get("origin"):
            found["origin"] = np.array(self._origin(*question))
        return found

    def _stages(
        self,
        net: Network,
        number: int,
        filters: Sequence[int],
        unpool: Method,
        position: Sequence[int] | None = None,
    ) -> list[Array]:
        if self.rules is None:
            return fdref.stages(net, number, filters, unpool, self.engine, position=position)
        return self._ruled(net, number, unpool, position).stages(filters)

    def _origin(
        self,
        net: Network,
        number: int,
        filters: Sequence[int],
        unpool: Method,
        position: Sequence[int] | None,
    ) -> Pair:
        if self.rules is None:
            field = receptive_field(net, number, position=position)
            return field.offset if self.field is None else self.field(net, number).offset
        return self._ruled(net, number, unpool, position).decode(filters).origin

    def _ruled(
        self, net: Network, number: int, unpool: Method, position: Sequence[int] | None
    ) -> Decoding:
        unit = unit_at(net, number, None, position)
        rules = self.rules or Decoding
        return rules(net, number, unpool, engine_named(self.engine), unit)

    def _projected(self, net: Network, images: Array, known: Parameters) -> Array:
        number, rule = known["layer"], known["rule"]
        acts = fdref.forward(net, images, self.engine, number)
        if self.way is None and self.start is None:
            return fdref.project(net, acts, number, known["kept"], rule, self.engine)
        units, maps = np.array(known["kept"]), dict(enumerate(acts))
        way, engine = self.way or Projection, engine_named(self.engine)
        start = (self.start or kept_alone)(acts[number], units)
        return way(net, maps, engine, rule, units[:, 0]).down_to({number: start})[0]

    def _occluded(self, net: Network, images: Array, known: Parameters) -> Outputs:
        if self.sight is not None:
            return self.sight(net, known, self._maps(net)).outputs(images.astype(np.float64))
        # What a square shows is what goes into the network, any average subtracted already.
        bare = Network(**net.parts() | {"average": None})
        given: dict[str, Any] = {name: known[name] for name in known if name != "network"}
        found = fdref.occlude(bare, images, **given, engine=self.engine)
        return {name: np.asarray(getattr(found, name)) for name in OCCLUDED}

    def _maps(self, net: Network) -> Callable[[Array], Mapping[int, Array]]:
        def forward(images: Array) -> Mapping[int, Array]:
            return dict(enumerate(fdref.forward(net, images, self.engine)))

        return forward

    def _evaluate(self, net: Network, images: Array, number: int, unpool: Method) -> Outputs:
        response = fdref.forward(net, images, self.engine, number)[number]
        if self.rules is None and self.field is None:
            bank = fdref.decode(net, number, None, unpool, self.engine)
            predicted = fdref.respond(net, number, bank, images, self.engine)
            found = fdref.evaluate(net, images, [number], unpool, self.engine)[number]
            return judged(response, predicted, found)
        bank = self._stages(net, number, range(net.channels[number]), unpool)[-1]
        field = (self.field or receptive_field)(net, number)
        filters = Conv(bank, stride=field.stride)
        predicted = self._respond(images, filters, field.offset, response.shape[2:])
        return judged(response, predicted)


def kept_alone(acts: Array, units: NDArray[np.intp]) -> Array:
    """Return maps (K, C, H, W) in which units, (K, 4), have their values, and all else is 0."""
    images, *places = units.T
    maps = np.zeros((len(units), *acts.shape[1:]), acts.dtype)
    maps[np.arange(len(units)), *places] = acts[images, *places]
    return maps


def _one_window(images: Array, bank: Conv, offset: Sequence[int], output: Sequence[int]) -> Network:
    """Return a convolution that has windows of a bank's size and stride at the same places."""
    pad: list[int] = []
    for axis, count in enumerate(output):
        before = -offset[axis]
        reach = (count - 1) * bank.stride[axis] + bank.window[axis] - before
        pad += [before, max(0, reach - images.shape[2 + axis])]
    return Network([Conv(np.zeros((1, *bank.filters.shape[1:])), None, bank.stride, pad)])


def asked(found: Outputs, known: Parameters) -> Outputs:
    """Return those maps or stages that a case asks for: all, unless it says which."""
    for parameter, name in (("layers", "layer"), ("stages", "stage")):
        if parameter in known:
            names = [f"{name}{number}" for number in known[parameter]]
            return {key: found[key] for key in (*names, "origin") if key in names or key in found}
    return found


def judged(response: Array, predicted: Array, found: Evaluation | None = None) -> Outputs:
    """Return what `evaluate` gives, by eq. 3 unless it was evaluated otherwise."""
    if found is None:
        found = Evaluation(*compare(response, predicted, engine="reference"))
    return {
        "response": response,
        "predicted": predicted,
        "errors": found.errors,
        "correlations": found.correlations,
        "mean": np.array(found.mean),
        "std": np.array(found.std),
    }
