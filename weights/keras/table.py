"""Which of Keras's classes is translated by what."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fdref.errors import NetworkError, one_line
from fdref.weights.keras import functions, joins, shapes, windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.weights.keras.call import LayerCall
    from fdref.weights.keras.graph import Spec
    from fdref.weights.keras.tensors import Tensor

JOINS = "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Divide", "TrueDivide"
DROPOUTS = "Dropout", "SpatialDropout2D", "GaussianDropout", "AlphaDropout"
NOTHING = (
    *("Identity", "GaussianNoise", "ActivityRegularization", "RandomFlip", "RandomRotation"),
    *("RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness"),
)
OPERATIONS = (
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "Tanh"),
    *("HardTanh", "Silu", "HardSilu", "Gelu", "Softplus", "Absolute"),
)
TENSORFLOW = {
    "add": "Add",
    "subtract": "Subtract",
    "sub": "Subtract",
    "multiply": "Multiply",
    "mul": "Multiply",
    "divide": "Divide",
    "truediv": "Divide",
    "relu": "Relu",
    "relu6": "Relu6",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "silu": "Silu",
    "softplus": "Softplus",
}
"""TensorFlow's functions in Keras 2's TFOpLambda, by the last part of their names."""


def tensorflow(call: LayerCall) -> Tensor:
    """Translate TFOpLambda, which holds a function's name; nothing is looked up or run."""
    spec = call.place[-1]
    found = spec.fields.text("function", "")
    kind = TENSORFLOW.get(found.rpartition(".")[2])
    if kind is None:
        raise NetworkError(
            f"its function is {one_line(found)!r}; expected one of {', '.join(TENSORFLOW)}"
        )
    place = (*call.place[:-1], replace(spec, kind=kind))
    return KINDS[kind](replace(call, place=place))


def division(call: LayerCall) -> Tensor:
    """Translate the operations that divide."""
    return joins.joined(call, "Divide")


KINDS: dict[str, Callable[[LayerCall], Tensor]] = {
    "Conv2D": windows.conv,
    "DepthwiseConv2D": windows.depthwise_conv,
    "SeparableConv2D": windows.separable_conv,
    "Conv2DTranspose": windows.conv_transpose,
    "Dense": windows.dense,
    "MaxPooling2D": windows.pool,
    "AveragePooling2D": windows.pool,
    "GlobalMaxPooling2D": windows.global_pool,
    "GlobalAveragePooling2D": windows.global_pool,
    "Activation": functions.activation,
    "ReLU": functions.function_layer,
    "LeakyReLU": functions.function_layer,
    "ELU": functions.function_layer,
    "Softmax": functions.function_layer,
    "PReLU": functions.prelu,
    "BatchNormalization": functions.batch_norm,
    "Normalization": functions.normalization,
    "Rescaling": functions.rescaling,
    "Flatten": shapes.flatten,
    "Reshape": shapes.reshape,
    "Permute": shapes.permute,
    "ZeroPadding2D": shapes.zero_padding,
    "Cropping2D": shapes.cropping,
    "UpSampling2D": shapes.upsampling,
    "Merge": joins.merge,
    "Concatenate": joins.concatenate,
    "TFOpLambda": tensorflow,
    **dict.fromkeys(JOINS, joins.join),
    **dict.fromkeys(("Divide", "TrueDivide"), division),
    **dict.fromkeys(DROPOUTS, functions.dropout),
    **dict.fromkeys(NOTHING, functions.nothing),
    **dict.fromkeys(OPERATIONS, functions.by_class),
}
"""By class, under the name that it has in Keras 3."""

REMEDIES = {
    "Lambda": "it holds code, which is never run: build the network without it",
    "TensorFlowOpLayer": "it holds a TensorFlow graph: build the network of Keras's own layers",
    "Resizing": "resize the images beforehand, and build the network without it",
    "RandomCrop": "crop the images beforehand, and build the network without it",
}
"""What to do about some of the others."""


def check_known(specs: list[Spec]) -> None:
    """Refuse layers of classes that are not translated, the first of them by name.

    Raises
    ------
    NetworkError
    """
    strange = [spec for spec in specs if spec.kind not in KINDS and spec.kind != "InputLayer"]
    if strange:
        kinds = list(dict.fromkeys(one_line(spec.kind) for spec in strange[1:]))
        others = f" (and {len(strange) - 1} more, {', '.join(kinds)[:200]})" if kinds else ""
        remedy = REMEDIES.get(
            strange[0].kind, "build the network without it, or export the model to ONNX"
        )
        raise NetworkError(
            f"{strange[0].label}{others} is of a class that fdref does not translate; expected "
            f"convolutions, pools, functions and joins of maps: {remedy}"
        )
