"""Single mistakes in an implementation that is none of ours: the NumPy and SciPy witness.

They were made by going through its lines, not through the list of mistakes. A mutant either has a
statement before a function's own, or one text in place of another. Its `names` are the mistakes of
the list that say what it does; where there are none, the list has no name for it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple
from warnings import catch_warnings

import numpy as np

from fdref.conformance.comparison import Problem

if TYPE_CHECKING:
    from fdref.conformance.case import Case
    from fdref.conformance.comparison import Answer

FOLDER = Path(__file__).parent / "witnesses"
FILES = ("kit_files", "numpy_layers", "numpy_unpool", "numpy_decoding", "numpy_scipy")
"""Those that come first are imported by those that come later."""
SOURCES = {name: (FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in FILES}


class Mutant(NamedTuple):
    """One change."""

    place: str
    """A function's name, or the text that is replaced."""
    change: str
    """A statement, or the text instead."""
    names: tuple[str, ...]

    def sources(self) -> dict[str, str]:
        """Return what is run."""
        if self.place.isidentifier():
            pattern = rf"^def {self.place}\((?:.|\n)*?-> [^\n]*:\n"
            heads = {n: re.search(pattern, text, re.MULTILINE) for n, text in SOURCES.items()}
            [(file, head)] = [(n, head) for n, head in heads.items() if head]
            text = f"{SOURCES[file][: head.end()]}    {self.change}\n{SOURCES[file][head.end() :]}"
            return {**SOURCES, file: text}
        [file] = [name for name, text in SOURCES.items() if self.place in text]
        assert SOURCES[file].count(self.place) == 1, self.place
        return {**SOURCES, file: SOURCES[file].replace(self.place, self.change)}


def implementation(sources: dict[str, str]) -> dict[str, Any]:
    """Run sources as modules; return the operations."""
    before = {name: sys.modules.pop(name, None) for name in FILES}
    try:
        for name, source in sources.items():
            module = sys.modules[name] = ModuleType(name)
            exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102 - ours
        return {
            operation.__name__: module.in_float64(operation) for operation in module.OPERATIONS
        } | {"called": sys.modules["kit_files"].called}
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def answer(operations: dict[str, Any], case: Case) -> Answer:
    """Answer a case as the witness's files do."""
    try:
        with np.errstate(all="ignore"), catch_warnings(action="ignore"):
            found = operations["called"](operations[case.operation], arguments(case))
    except Exception as error:  # noqa: BLE001 - it is broken on purpose
        if case.refused and isinstance(error, ValueError):
            return {"refused": np.array(1)}
        return None if isinstance(error, ValueError) else Problem(f"raised {error}")
    if case.refused:
        return {"refused": np.array(0)}
    if not isinstance(found, dict):
        return {name: np.asarray(found) for name in case.expected}
    return {name: np.asarray(found[name]) for name in case.expected if name in found}


def arguments(case: Case) -> dict[str, Any]:
    """Return inputs and parameters, a network's arrays in their places."""
    inputs = {name: np.array(values) for name, values in case.inputs.items()}
    known = {n: v for n, v in case.parameters.items() if n not in ("layers", "stages", "origin")}
    if known.get("network") is None:
        return inputs | known
    layers = [
        {key: inputs.get(v, v) if isinstance(v, str) else v for key, v in layer.items()}
        for layer in known["network"]
    ]
    return {n: v for n, v in inputs.items() if n == "images"} | known | {"network": layers}


def table(text: str) -> list[Mutant]:
    """Read lines ``place >> change >> names``; backslash n is a new line."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        place, change, *names = (part.strip() for part in line.split(" >> "))
        known = tuple(names[0].split()) if names else ()
        found.append(Mutant(place.replace("\\n", "\n"), change.replace("\\n", "\n"), known))
    return found


MUTANTS = table(r"""
correlate >> filters = filters[:, :, ::-1, ::-1] >> filters-flipped
correlate >> filters = filters[:, :, ::-1] >> filters-upside-down
correlate >> filters = filters[..., ::-1] >> filters-mirrored
correlate >> filters = filters[:, ::-1] >> channels-reversed
correlate >> filters = filters[::-1] >> filters-in-reverse
correlate >> filters = filters.swapaxes(2, 3) >> filters-transposed
correlate >> filters = np.repeat(filters[:1], len(filters), axis=0) >> first-filter-for-all
correlate >> filters = filters.reshape(filters.shape[1], len(filters), *filters.shape[2:]).swapaxes(0, 1) >> filters-and-channels-swapped
correlate >> filters = np.pad(filters[:, :, :-1], [(0, 0), (0, 0), (0, 1), (0, 0)]) >> last-filter-row-left-out
correlate >> filters = np.pad(filters[:, :, :, :-1], [(0, 0), (0, 0), (0, 0), (0, 1)]) >> last-filter-column-left-out
correlate >> filters = np.pad(filters[:, :-1], [(0, 0), (0, 1), (0, 0), (0, 0)]) >> last-channel-left-out
correlate >> filters = np.pad(filters[:, 1:], [(0, 0), (1, 0), (0, 0), (0, 0)])
correlate >> filters = np.abs(filters)
correlate >> filters = np.repeat(filters[:, :1], filters.shape[1], axis=1)
correlate >> images = np.nan_to_num(images)
correlate >> images = images[..., ::-1]
correlate >> images = images[:, :, ::-1]
correlate >> pad = [pad[2], pad[3], pad[0], pad[1]] >> pad-left-right-top-bottom
correlate >> pad = [pad[0], pad[2], pad[1], pad[3]] >> pad-top-left-bottom-right
correlate >> pad = [pad[1], pad[0], pad[3], pad[2]] >> pad-bottom-top-right-left
correlate >> pad = [pad[0]] * 4 >> pad-one-for-all
correlate >> pad = [pad[0], pad[0], pad[2], pad[2]] >> pad-vertical-horizontal
correlate >> pad = [0] * 4 >> pad-ignored
correlate >> stride = stride[::-1] >> stride-swapped
correlate >> stride = [1, 1] >> stride-ignored
correlate >> stride = [stride[0]] * 2 >> stride-one-for-both
correlate >> stride = [stride[1]] * 2 >> stride-swapped+stride-one-for-both
correlate >> dilate = dilate[::-1] >> dilation-swapped
correlate >> dilate = [1, 1] >> dilation-ignored
correlate >> dilate = [dilate[0]] * 2 >> dilation-one-for-both
correlate >> bias = None >> bias-ignored
correlate >> bias = None if bias is None else 2 * bias >> bias-twice
correlate >> bias = None if bias is None else -bias >> bias-minus
correlate >> bias = None if bias is None else bias[0] + 0 * bias >> first-bias-for-all
correlate >> bias = None if bias is None else bias[::-1]
correlate >> bias = None if bias is None else np.full(len(filters), bias.mean())
padded = with_border(images, pad, 0) >> padded = with_border(images, pad, 1)
padded = with_border(images, pad, 0) >> padded = np.pad(images, [(0, 0), (0, 0), (pad[0], pad[1]), (pad[2], pad[3])], "edge") >> padding-repeats
padded = with_border(images, pad, 0) >> padded = np.pad(images, [(0, 0), (0, 0), (pad[0], pad[1]), (pad[2], pad[3])], "symmetric") >> padding-mirrors
first = channels * (k // (len(filters) // groups))\n            volume >> first = channels * (k % groups)\n            volume >> groups-interleaved
first = channels * (k // (len(filters) // groups))\n            volume >> first = 0\n            volume >> groups-ignored
first = channels * (k // (len(filters) // groups))\n            volume >> first = channels * (groups - 1 - k // (len(filters) // groups))\n            volume
dense[:, :, :: stride[0], :: stride[1]] >> dense[:, :, stride[0] - 1 :: stride[0], stride[1] - 1 :: stride[1]]
dense[:, :, :: stride[0], :: stride[1]] >> dense[:, :, :: stride[0], :: stride[1]].swapaxes(2, 3) >> outputs-transposed
dense[:, :, :: stride[0], :: stride[1]] >> dense[:, ::-1, :: stride[0], :: stride[1]]
dense[:, :, :: stride[0], :: stride[1]] >> dense[:, :, :: stride[0], :: stride[1]].astype(np.float16) >> float16
dense[:, :, :: stride[0], :: stride[1]] >> dense[:, :, :: stride[0], :: stride[1]].astype(np.float32) >> float32
dense[:, :, :: stride[0], :: stride[1]] >> np.rint(dense[:, :, :: stride[0], :: stride[1]])
dense[:, :, :: stride[0], :: stride[1]] >> np.maximum(dense[:, :, :: stride[0], :: stride[1]], 0)
pool >> window = window[::-1] >> pool-window-swapped
pool >> window = [window[0]] * 2 >> pool-window-square
pool >> window = [window[1]] * 2 >> pool-window-swapped+pool-window-square
pool >> stride = stride[::-1] >> pool-stride-swapped
pool >> stride = [stride[0]] * 2 >> pool-stride-one-for-both
pool >> stride = [1, 1] >> pool-stride-ignored
pool >> stride = window >> pool-stride-is-window
pool >> pad = [pad[2], pad[3], pad[0], pad[1]] >> pool-pad-left-right-top-bottom
pool >> pad = [pad[0], pad[2], pad[1], pad[3]] >> pool-pad-top-left-bottom-right
pool >> pad = [pad[1], pad[0], pad[3], pad[2]] >> pool-pad-bottom-top-right-left
pool >> pad = [pad[0]] * 4 >> pool-pad-one-for-all
pool >> pad = [pad[0], pad[0], pad[2], pad[2]] >> pool-pad-vertical-horizontal
pool >> pad = [0] * 4 >> pool-pad-ignored
pool >> method = "max" >> maximum-for-average
pool >> method = "avg" >> average-for-maximum
pool >> images = np.abs(images)
pool >> images = np.nan_to_num(images, nan=-1e30) >> nan-lost-in-maxima
windows(images, -np.inf).max(axis=(4, 5)) >> windows(images, 0).max(axis=(4, 5)) >> padding-wins
windows(images, -np.inf).max(axis=(4, 5)) >> windows(images, np.inf).min(axis=(4, 5))
windows(images, -np.inf).max(axis=(4, 5)) >> np.nan_to_num(np.fmax.reduce(windows(images, -np.inf), axis=(4, 5)), nan=-np.inf, posinf=np.inf, neginf=-np.inf) >> nan-lost-in-maxima
pixels = windows(np.ones_like(images), 0).sum(axis=(4, 5)) >> pixels = window[0] * window[1] >> average-counts-padding
pixels = windows(np.ones_like(images), 0).sum(axis=(4, 5)) >> pixels = 1 >> average-not-divided
pixels = windows(np.ones_like(images), 0).sum(axis=(4, 5)) >> pixels = stride[0] * stride[1]
return views[:, :, :: stride[0], :: stride[1]] >> return views[:, :, stride[0] - 1 :: stride[0], stride[1] - 1 :: stride[1]]
relu >> leak = 0 >> leak-ignored
relu >> leak = -leak >> leak-negative
relu >> leak = 0.01
relu >> return np.abs(images) >> relu-of-magnitudes
relu >> return images >> relu-ignored
relu >> images = np.minimum(images, 6) >> relu-cut-at-six
relu >> images = np.nan_to_num(images) >> nan-lost-in-relu
return np.where(images > 0, images, below) >> return np.where(images > leak, images, below)
return np.where(images > 0, images, below) >> return np.where(images > 0, images, leak)
normalize >> alpha = alpha / size >> alpha-divided
normalize >> alpha, beta = beta, alpha >> alpha-and-beta-swapped
normalize >> beta = 1 >> beta-is-one
normalize >> beta = 0.5 >> beta-is-half
normalize >> kappa = 1 >> kappa-is-one
normalize >> kappa = kappa * alpha >> alpha-with-kappa
normalize >> size = 2 * size + 1 >> size-as-radius
normalize >> size = size // 2 * 2 + 1 >> even-window-wider
normalize >> size = (size - 1) // 2 * 2 + 1 >> even-window-narrower
origin = (size - 1) // 2 - size // 2 >> origin = 0 >> odd-channel-before
images**2, np.ones(size), 1, >> images, np.ones(size), 1, >> values-for-squares
images**2, np.ones(size), 1, >> np.abs(images), np.ones(size), 1, >> magnitudes-for-squares
images**2, np.ones(size), 1, >> images**2, np.ones(size), 2, >> normalised-over-rows
images**2, np.ones(size), 1, >> images**2, np.ones(size), 3, >> normalised-over-columns
images**2, np.ones(size), 1, >> images**2, np.ones(1), 1, >> channel-alone
np.ones(size), 1, mode="constant" >> np.ones(size), 1, mode="reflect"
np.ones(size), 1, mode="constant" >> np.ones(size), 1, mode="wrap"
return images / (kappa + alpha * sums) ** beta >> return images * (kappa + alpha * sums) ** beta >> normalize-multiplies
return images / (kappa + alpha * sums) ** beta >> return images / (kappa + alpha * sums) >> beta-is-one
bnorm >> moments = moments[:, ::-1] >> moments-swapped
bnorm >> moments = np.sqrt(np.abs(moments)) * [[0, 1]] + moments * [[1, 0]] >> deviation-as-variance
bnorm >> moments = np.sqrt(np.abs(moments) + 1e-5) * [[0, 1]] + moments * [[1, 0]] >> deviation-as-variance-epsilon
bnorm >> moments = np.sqrt(moments**2 + 1e-5) * [[0, 1]] + moments * [[1, 0]] >> epsilon-added
bnorm >> moments = np.sqrt(moments**2 + 1e-3) * [[0, 1]] + moments * [[1, 0]] >> epsilon-of-a-thousandth-added
bnorm >> moments = moments**2 * [[0, 1]] + moments * [[1, 0]] >> deviation-squared
bnorm >> moments = 1 / moments * [[0, 1]] + moments * [[1, 0]] >> deviation-multiplies
bnorm >> moments = moments * [[1, 0]] + [[0, 1]] >> deviation-ignored
bnorm >> moments = moments * [[0, 1]] >> mean-ignored
bnorm >> moments = moments * [[-1, 1]] >> mean-added
bnorm >> gain, bias = bias, gain >> gain-and-bias-swapped
bnorm >> gain = np.ones_like(gain) >> gain-ignored
bnorm >> bias = np.zeros_like(bias) >> shift-ignored
bnorm >> bias = -bias >> shift-subtracted
* (images - mean) / deviation >> * images / deviation - mean >> mean-after
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: special.softmax(maps, axis=2) >> softmax-over-rows
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: special.softmax(maps, axis=3) >> softmax-over-columns
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: special.softmax(maps, axis=0) >> softmax-over-images
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: special.softmax(maps, axis=(2, 3)) >> softmax-over-pixels
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: special.softmax(maps)
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: special.log_softmax(maps, axis=1) >> softmax-of-logarithms
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: special.expit(maps) >> sigmoid-for-softmax
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: maps >> softmax-ignored
"softmax": lambda maps: special.softmax(maps, axis=1) >> "softmax": lambda maps: np.exp(maps)
enumerate(maps_of(images, network))} >> enumerate([images, *maps_of(images, network)])} >> layers-shifted
enumerate(maps_of(images, network))} >> enumerate(maps_of(images, network)[1:])}
return {f"layer{number}": maps for >> return {f"layer{number}": maps.transpose(0, 2, 3, 1) for >> outputs-nhwc
substitute >> filters = filters[:, :, ::-1, ::-1] >> substitution-flipped
substitute >> filters = filters[:, :, ::-1] >> substitution-upside-down
substitute >> filters = filters[..., ::-1] >> substitution-mirrored
substitute >> filters = filters[:, ::-1] >> substitution-of-reversed-channels
substitute >> filters = filters[::-1] >> substitution-by-filters-in-reverse
substitute >> filters = filters.swapaxes(2, 3) >> decoded-filters-transposed
substitute >> filters = np.repeat(filters[:1], len(filters), axis=0) >> substitution-by-the-first-filter
substitute >> filters = filters.reshape(filters.shape[1], len(filters), *filters.shape[2:]).swapaxes(0, 1) >> substitution-of-swapped-channels
substitute >> filters = np.pad(filters[:, :, :-1], [(0, 0), (0, 0), (0, 1), (0, 0)]) >> substitution-without-the-last-row
substitute >> filters = np.pad(filters[..., :-1], [(0, 0), (0, 0), (0, 0), (0, 1)]) >> substitution-without-the-last-column
substitute >> filters = np.pad(filters[:-1], [(0, 1), (0, 0), (0, 0), (0, 0)]) >> substitution-without-the-last-channel
substitute >> filters = np.abs(filters)
substitute >> maps = np.maximum(maps, 0)
substitute >> maps = np.abs(maps)
substitute >> stride = stride[::-1] >> substitution-stride-swapped
substitute >> stride = [1, 1] >> substitution-stride-ignored
substitute >> stride = [stride[0]] * 2 >> substitution-stride-one-for-both
substitute >> dilate = dilate[::-1] >> substitution-dilation-swapped
substitute >> dilate = [1, 1] >> substitution-dilation-ignored
pictures[hit] += np.einsum( >> pictures[hit] = np.einsum(
pictures[hit] += np.einsum( >> pictures[hit] -= np.einsum(
maps, weights[..., u, v]) >> maps, weights[..., v % filters.shape[2], u % filters.shape[3]])
maps = maps.reshape(count, groups, len(filters) // groups, *size) >> maps = maps.reshape(count, len(filters) // groups, groups, *size).swapaxes(1, 2)
weights = filters.reshape(groups, -1, channels, *filters.shape[2:]) >> weights = filters.reshape(groups, -1, channels, *filters.shape[2:])[:1].repeat(groups, 0)
decode >> filters = [k - 1 for k in filters] >> filters-from-one
decode >> filters = [k + 1 for k in filters]
decode >> filters = [*range(len(filters))] >> filters-in-order
decode >> filters = [filters[0]] * len(filters) >> same-filter-decoded
decode >> layer = layer - 1 >> layers-from-two
decode >> layer = layer + 1 >> layers-from-zero
decode >> unpool = "nearest" >> nearest-for-all
decode >> unpool = "bilinear" if unpool == "bicubic" else unpool >> bilinear-for-bicubic
decode >> unpool = "bicubic" if unpool == "bilinear" else unpool >> bicubic-for-bilinear
outputs = {f"stage{number}": seen.pictures for number, seen in enumerate(stages, 1)} >> outputs = {f"stage{number}": seen.pictures for number, seen in enumerate(stages[::-1], 1)} >> stages-reversed
scaled(pictures, layer["gain"] / layer["moments"][:, 1]) >> scaled(pictures, np.ones(len(layer["gain"]))) >> bnorm-ignored-while-decoding deviation-ignored+gain-ignored
scaled(pictures, layer["gain"] / layer["moments"][:, 1]) >> scaled(pictures, layer["moments"][:, 1] / layer["gain"]) >> bnorm-inverted-while-decoding
scaled(pictures, layer["gain"] / layer["moments"][:, 1]) >> scaled(pictures, layer["gain"]) >> deviation-ignored
scaled(pictures, layer["gain"] / layer["moments"][:, 1]) >> scaled(pictures, 1 / layer["moments"][:, 1]) >> gain-ignored
scaled(pictures, layer["gain"] / layer["moments"][:, 1]) >> scaled(pictures, layer["gain"] * layer["moments"][:, 1]) >> deviation-multiplies
        return seen\n\n    def through_pool >>         return replace(seen, pictures=np.maximum(pictures, 0)) if layer["type"] == "relu" else seen\n\n    def through_pool >> rectified-while-decoding
        return seen\n\n    def through_pool >>         return replace(seen, pictures=LAYERS["relu"](pictures, leak=layer["leak"])) if layer["type"] == "relu" else seen\n\n    def through_pool >> leak-while-decoding
        return seen\n\n    def through_pool >>         return replace(seen, pictures=LAYERS["normalize"](pictures, **{k: layer[k] for k in ("size", "kappa", "alpha", "beta")})) if layer["type"] == "normalize" else seen\n\n    def through_pool
below = substitute(pictures, layer["filters"], **steps) >> below = substitute(pictures if layer["bias"] is None else pictures + layer["bias"][:, None, None], layer["filters"], **steps) >> bias-added-while-decoding
below = substitute(pictures, layer["filters"], **steps) >> below = substitute(pictures if layer["bias"] is None else pictures - layer["bias"][:, None, None], layer["filters"], **steps)
below = substitute(pictures, layer["filters"], **steps) >> below = substitute(pictures, layer["filters"], **steps | {"stride": [1, 1]}) >> substitution-stride-ignored
seen.pictures, stride=stride, window=layer["window"], method >> seen.pictures, stride=layer["window"], window=layer["window"], method >> unpool-stride-is-window
seen.pictures, stride=stride, window=layer["window"], method >> seen.pictures, stride=stride, window=stride, method >> window-ignored
seen.pictures, stride=stride, window=layer["window"], method >> seen.pictures, stride=stride, window=layer["window"][::-1], method >> unpool-window-swapped
as_pictures >> layer = layer | {"dilate": [1, 1]} >> top-not-dilated
first = channels * (k // (len(filters) // groups))\n        picture >> first = 0\n        picture >> group-on-first-channels
first = channels * (k // (len(filters) // groups))\n        picture >> first = channels * (k % groups)\n        picture >> group-on-interleaved-channels
unpool >> stride = stride[::-1] >> unpool-stride-swapped
unpool >> window = window[::-1] >> unpool-window-swapped
unpool >> stride = [stride[0]] * 2 >> unpool-stride-one-for-both
unpool >> window = [window[0]] * 2 >> unpool-window-square
unpool >> window = stride >> window-ignored
unpool >> stride = window >> unpool-stride-is-window
unpool >> method = "nearest" if method in KERNELS else method >> nearest-for-all
unpool >> method = "bilinear" if method == "bicubic" else method >> bilinear-for-bicubic
unpool >> method = "bicubic" if method == "bilinear" else method >> bicubic-for-bilinear
unpool >> maps = maps if method == "window" else maps / (stride[0] * stride[1]) >> copies-divided
before, after = abs(extra) // 2, abs(extra) - abs(extra) // 2 >> after, before = abs(extra) // 2, abs(extra) - abs(extra) // 2 >> odd-pixel-before
before, after = abs(extra) // 2, abs(extra) - abs(extra) // 2 >> before, after = 0, abs(extra) >> not-centred
before, after = abs(extra) // 2, abs(extra) - abs(extra) // 2 >> before, after = abs(extra), 0 >> centred-at-the-end
maps = np.pad(maps, [(0, 0)] * 3 + [(before, after)]) >> maps = np.pad(maps, [(0, 0)] * 3 + [(after, before)]) >> odd-zero-before
maps = np.pad(maps, [(0, 0)] * 3 + [(before, after)]) >> maps = np.pad(maps, [(0, 0)] * 3 + [(before, after)], "edge")
maps = maps[..., before : maps.shape[-1] - after] >> maps = maps[..., after : maps.shape[-1] - before] >> odd-cropped-before
shared(maps / (window[0] * window[1] if pixels is None else pixels), >> shared(maps, >> window-not-divided
shared(maps / (window[0] * window[1] if pixels is None else pixels), >> shared(maps / (stride[0] * stride[1]), >> window-divided-by-stride
u = (phase + 0.5) / factor - 0.5 >> u = phase / factor >> asymmetric
u = (phase + 0.5) / factor - 0.5 >> u = (phase + 0.5) / factor >> half-a-pixel-off
u = (phase + 0.5) / factor - 0.5 >> u = (phase - 0.5) / factor - 0.5
mode="reflect", origin=origin)) >> mode="nearest", origin=origin)) >> border-clamped
mode="reflect", origin=origin)) >> mode="mirror", origin=origin)) >> border-reflected
mode="reflect", origin=origin)) >> mode="wrap", origin=origin)) >> border-wrapped
mode="reflect", origin=origin)) >> mode="constant", origin=origin)) >> border-zero
1.5 * t**3 - 2.5 * t**2 + 1 >> 1.25 * t**3 - 2.25 * t**2 + 1
inner = 1.5 * t**3 - 2.5 * t**2 + 1\n    outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 >> inner = 1.25 * t**3 - 2.25 * t**2 + 1\n    outer = -0.75 * t**3 + 3.75 * t**2 - 6 * t + 3 >> bicubic-three-quarters
inner = 1.5 * t**3 - 2.5 * t**2 + 1\n    outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 >> inner = t**3 - 2 * t**2 + 1\n    outer = -(t**3) + 5 * t**2 - 8 * t + 4 >> bicubic-one
inner = 1.5 * t**3 - 2.5 * t**2 + 1\n    outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 >> inner = t**3 / 2 - t**2 + 2 / 3\n    outer = (2 - t) ** 3 / 6 >> bicubic-spline
return np.repeat(maps, factor, axis) >> return np.roll(np.repeat(maps, factor, axis), 1, axis)
project >> rule = "gradient" >> gradient-for-all+normalize-differentiated
project >> rule = "deconvnet"
project >> rule = "guided"
project >> rule = "deconvnet" if rule == "guided" else rule >> guided-without-the-way-up
project >> rule = "guided" if rule == "deconvnet" else rule >> both-masks
project >> rule = "guided" if rule == "gradient" else rule >> gradient-rectified+normalize-passed-by-the-gradient
project >> kept = [[unit[0], unit[1], unit[3], unit[2]] for unit in kept]
project >> layer = layer - 1 >> layers-from-two
d[tuple(unit)] = own[-1][tuple(unit)] >> d[tuple(unit)] = 1 >> one-for-the-activation
d[tuple(unit)] = own[-1][tuple(unit)] >> d[unit[0]] = own[-1][unit[0]] >> map-kept
d[tuple(unit)] = own[-1][tuple(unit)] >> d = own[-1] >> all-kept
top, bottom, left, right = layer["pad"] >> bottom, top, right, left = layer["pad"]
top, bottom, left, right = layer["pad"] >> top, bottom, left, right = 0, 0, 0, 0
through_conv >> d = d if layer["bias"] is None else d - layer["bias"][:, None, None] >> bias-subtracted
picture[np.unravel_index(own.argmax(), own.shape)] += value >> picture[np.unravel_index(own.argmax(), own.shape)] = value >> last-switch-stays
picture[np.unravel_index(own.argmax(), own.shape)] += value >> picture[np.unravel_index(own.size - 1 - own[::-1, ::-1].argmax(), own.shape)] += value >> ties-last
picture[np.unravel_index(own.argmax(), own.shape)] += value >> picture[np.unravel_index(own.T.argmax(), own.T.shape)[::-1]] += value >> ties-by-columns
picture[np.unravel_index(own.argmax(), own.shape)] += value >> picture[own == own.max()] += value >> ties-all
picture[np.unravel_index(own.argmax(), own.shape)] += value >> picture[np.unravel_index(own.argmin(), own.shape)] += value
picture[np.unravel_index(own.argmax(), own.shape)] += value >> picture[:] += value / own.size >> pools-share-on-the-way-down
d[:, row, column, None, None] / x[0][seen[1:]].size >> d[:, row, column, None, None] / np.prod(layer["window"])  >> average-counts-padding
d[:, row, column, None, None] / x[0][seen[1:]].size >> d[:, row, column, None, None]
"gradient": up, "deconvnet": down, "guided": up * down, "linear": 1 >> "gradient": up, "deconvnet": up, "guided": up, "linear": 1 >> mask-of-the-way-up
"gradient": up, "deconvnet": down, "guided": up * down, "linear": 1 >> "gradient": up, "deconvnet": down, "guided": np.minimum(up, down), "linear": 1 >> leak-once
"gradient": up, "deconvnet": down, "guided": up * down, "linear": 1 >> "gradient": 1, "deconvnet": 1, "guided": 1, "linear": 1 >> not-rectified-on-the-way-down
up = np.where(x > 0, 1, layer["leak"])\n    down = np.where(d > 0, 1, layer["leak"]) >> up, down = np.where(x > 0, 1, 0), np.where(d > 0, 1, 0) >> leak-dropped-on-the-way-down
through_normalize >> rule = "linear" >> normalize-passed-by-the-gradient
through_normalize >> rule = "gradient" >> normalize-differentiated
return d / s**beta - 2 * alpha * beta * x * shared >> return d / s**beta
return y * (d - (d * y).sum(axis=0)) >> return y * d
receptive_field >> network = network[::-1]
offset = offset - np.array(layer["pad"])[[0, 2]] * jump >> offset = offset + np.array(layer["pad"])[[0, 2]] * jump >> offset-sign
offset = offset - np.array(layer["pad"])[[0, 2]] * jump >> offset = offset - np.array(layer["pad"])[[1, 3]] * jump >> offset-of-the-other-sides
offset = offset - np.array(layer["pad"])[[0, 2]] * jump >> offset = offset - np.array(layer["pad"])[[0, 1]] * jump
offset = offset - np.array(layer["pad"])[[0, 2]] * jump >> offset = offset - np.array(layer["pad"])[[0, 2]] >> offset-not-scaled
offset = offset - np.array(layer["pad"])[[0, 2]] * jump >> offset = offset * 1 >> offset-ignored
size = size + (np.array(layer["window"]) - 1) * jump >> size = size + np.array(layer["window"]) * jump >> field-of-whole-windows
size = size + (np.array(layer["window"]) - 1) * jump >> size = size + (np.array(layer["window"]) - 1) >> field-without-strides
size = size + (np.array(layer["window"]) - 1) * jump >> size = size + (np.array(layer["window"]) - 1) * jump * layer["stride"]
jump = jump * layer["stride"] >> jump = jump + layer["stride"]
jump = jump * layer["stride"] >> jump = np.array(layer["stride"])
return {"size": size, "stride": jump, "offset": offset} >> return {"size": size[::-1], "stride": jump[::-1], "offset": offset[::-1]} >> field-axes-swapped
respond >> stride = stride[::-1]
respond >> offset = [0, 0] >> offset-ignored
respond >> offset = [-o for o in offset] >> offset-sign
respond >> bank = bank[..., ::-1, ::-1] >> filters-flipped
((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1) >> np.sqrt(((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1)) >> root-of-the-mean-squared
((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1) >> np.abs(unit(both[0]) - unit(both[1])).mean(axis=1) >> mean-of-magnitudes
((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1) >> ((unit(both[0]) - unit(both[1])) ** 2).sum(axis=1) >> sum-of-squares
((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1) >> ((both[0] - both[1]) ** 2).mean(axis=1) >> not-normalised
((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1) >> ((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1) / 2 >> half-of-the-mean-squared
both = [array.reshape(len(images), -1) for array in (response, predicted)] >> both = [array.reshape(1, -1).repeat(len(images), 0) for array in (response, predicted)]
"std": known.std() if >> "std": known.std(ddof=1) if >> sample-deviation
"std": known.std() if >> "std": known.var() if >> variance-for-deviation
"mean": known.mean() if >> "mean": np.median(known) if >> median-for-mean
return np.corrcoef(r, q)[0, 1] >> return np.corrcoef(r, q)[0, 1] ** 2 >> correlation-squared
return np.corrcoef(r, q)[0, 1] >> return np.cov(r, q)[0, 1]
return np.corrcoef(r, q)[0, 1] >> return r @ q / np.sqrt(r @ r * (q @ q)) >> correlation-uncentred
return (rows - low) / np.where(high > low, high - low, np.nan) >> return rows / np.where(high > low, high - low, np.nan) >> not-shifted
return (rows - low) / np.where(high > low, high - low, np.nan) >> return rows / high >> normalised-by-the-maximum
response = maps_of(images, network[:layer])[-1] >> response = np.maximum(maps_of(images, network[:layer])[-1], 0)
occlude >> size = size[::-1] >> square-transposed
occlude >> stride = stride[::-1] >> square-stride-transposed
occlude >> stride = [1, 1] >> square-at-every-pixel
range(0, pixels - own + 1, step) >> range(0, pixels - own, step) >> last-place-missing
clean[0].sum(axis=(1, 2)).argmax() >> clean[0].max(axis=(1, 2)).argmax() >> strongest-by-maximum
clean[0].sum(axis=(1, 2)).argmax() >> np.abs(clean[0]).sum(axis=(1, 2)).argmax() >> strongest-by-magnitude
clean[0].sum(axis=(1, 2)).argmax() >> clean[0].sum(axis=(1, 2)).argmin()
[:, strongest].sum(axis=(1, 2)) >> [:, strongest].max(axis=(1, 2)) >> maximum-watched
[:, strongest].sum(axis=(1, 2)) >> [:, strongest].mean(axis=(1, 2)) >> activity-averaged
[:, strongest].sum(axis=(1, 2)) >> .sum(axis=(2, 3)).max(axis=1) >> strongest-anew
every = last if network[-1]["type"] == "softmax" else special.softmax(last, axis=1) >> every = last >> scores-for-probabilities
every = last if network[-1]["type"] == "softmax" else special.softmax(last, axis=1) >> every = special.softmax(last, axis=1) >> softmax-twice
scores = every.mean(axis=(2, 3)) >> scores = every.max(axis=(2, 3))
scores[:, label].reshape(places) >> scores.max(axis=1).reshape(places) >> probability-of-the-most-probable
square >> return np.zeros((len(image), 1, 1)) >> square-black
square >> value = value if value == "background" else [value[0]] * len(value)
np.median(np.concatenate(around, axis=1), axis=1) >> np.mean(np.concatenate(around, axis=1), axis=1) >> background-by-the-mean
np.median(np.concatenate(around, axis=1), axis=1) >> np.median(image, axis=(1, 2)) >> background-of-all-pixels
image[:, 1:-1, 0], image[:, 1:-1, -1]] >> image[:, :, 0], image[:, :, -1]] >> background-counts-corners-twice
""")  # noqa: E501 - a table
