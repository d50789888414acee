"""What Keras writes of a layer, read without trust: fields of the types that they should have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fdref.arguments import elements, one_of, real_number, shown, whole_number
from fdref.errors import NetworkError
from fdref.geometry import LARGEST_NUMBER, pair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.geometry import Pair

CLASSES = {
    "Convolution2D": "Conv2D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "DepthwiseConvolution2D": "DepthwiseConv2D",
    "MaxPool2D": "MaxPooling2D",
    "AvgPool2D": "AveragePooling2D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
}
"""Other names of classes, most of them Keras 1's."""

FIELDS = {
    "nb_filter": "filters",
    "subsample": "strides",
    "border_mode": "padding",
    "atrous_rate": "dilation_rate",
    "dim_ordering": "data_format",
    "bias": "use_bias",
    "output_dim": "units",
    "p": "rate",
    "concat_axis": "axis",
    "batch_input_shape": "batch_shape",
}
"""Names of fields that Keras 1 and 2 had, and what they are called now."""

VALUES = {"data_format": {"tf": "channels_last", "th": "channels_first", "default": None}}
"""The same for what stands in them."""


@dataclass(frozen=True)
class Fields:
    """The fields of a layer, under the names that Keras 3 gives them."""

    values: Mapping[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        """Return what stands in a field; null is the same as nothing."""
        found = self.values.get(key)
        return default if found is None else found

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a truth value."""
        found = self.get(key, default)
        if not isinstance(found, bool):
            raise NetworkError(f"`{key}` is {shown(found)}; expected true or false")
        return found

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number from 1."""
        return whole_number(self.get(key, default), f"`{key}`", 1, LARGEST_NUMBER)

    def pair(self, key: str, default: int | Pair | None = None) -> Pair:
        """Return one or two whole numbers from 1 as (vertical, horizontal)."""
        return pair(self.get(key, default), f"`{key}`")

    def real(self, key: str, default: float) -> float:
        """Return a finite number."""
        return real_number(self.get(key, default), f"`{key}`")

    def text(self, key: str, default: str) -> str:
        """Return a text."""
        found = self.get(key, default)
        if not isinstance(found, str):
            raise NetworkError(f"`{key}` is {shown(found)}; expected text")
        return found

    def word(self, key: str, default: str, *words: str) -> str:
        """Return one of some words."""
        return one_of(self.text(key, default), f"`{key}`", words)

    def numbers(self, key: str) -> list[float]:
        """Return a list of finite numbers, or one; lists in lists are one list."""
        found, left = [], [self.get(key)]
        while left:
            value = left.pop()
            if isinstance(value, list):
                left.extend(reversed(value))
            else:
                found.append(real_number(value, f"a number of `{key}`"))
        return found


def fields_of(config: object) -> Fields:
    """Read the fields of a layer of any age."""
    if not isinstance(config, dict):
        raise NetworkError(f"its `config` is {shown(config)}; expected an object with its fields")
    renamed = {FIELDS[key]: value for key, value in config.items() if key in FIELDS}
    values = renamed | {key: value for key, value in config.items() if key not in FIELDS}
    if "nb_row" in values:
        values["kernel_size"] = [values["nb_row"], values.get("nb_col")]
    for key, known in VALUES.items():
        found = values.get(key)
        if isinstance(found, str):
            values[key] = known.get(found, found)
    return Fields(values)


def input_shape(fields: Fields) -> tuple[int | None, ...] | None:
    """Return the shape of the images that a layer says it takes, without the batch."""
    found = fields.get("batch_shape", fields.get("build_input_shape"))
    if found is None and fields.get("input_shape") is not None:
        found = [None, *(elements(fields.get("input_shape")) or [])]
    if found is None:
        return None
    lengths = elements(found)
    if not lengths:
        raise NetworkError(
            f"its shape is {shown(found)}; expected [batch, height, width, channels]"
        )
    return tuple(
        None if n is None else whole_number(n, "a length of its shape", 1, LARGEST_NUMBER)
        for n in lengths[1:]
    )
