"""Models that Keras builds, saves and runs: `python keras_models.py FOLDER` writes them all.

For each there are NAME.h5, NAME.keras, and NAME.npz with what goes in and what every layer makes.
It runs with Keras 3, and, but for what is new there, with Keras 2; PyTorch or TensorFlow under it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers as kinds
from keras_units import UNITS

THREE = keras.__version__.startswith("3.")


def lenet():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            kinds.Conv2D(6, 5, name="first"),
            kinds.MaxPooling2D(),
            kinds.Conv2D(8, 5, activation="relu"),
            kinds.MaxPooling2D(2, strides=2),
            kinds.Flatten(),
            kinds.Dense(20, activation="relu"),
            kinds.Dense(10, activation="softmax"),
        ]
    )


def vgg():
    layers = [keras.Input((16, 16, 3))]
    for filters in (4, 6):
        layers += [kinds.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(2)]
        layers += [kinds.BatchNormalization(), kinds.MaxPooling2D()]
    layers += [kinds.Dropout(0.3), kinds.Flatten(), kinds.Dense(12, activation="relu")]
    return keras.Sequential([*layers, kinds.Dropout(0.5), kinds.Dense(5)])


def resnet():
    image = keras.Input((33, 31, 3))
    x = kinds.Conv2D(4, 7, strides=2, padding="same", use_bias=False)(image)
    x = kinds.ReLU()(kinds.BatchNormalization()(x))
    x = kinds.MaxPooling2D(3, strides=2, padding="same")(x)
    for filters, stride in ((4, 1), (6, 2)):
        y = kinds.Conv2D(filters, 3, strides=stride, padding="same")(x)
        y = kinds.Activation("relu")(kinds.BatchNormalization()(y))
        y = kinds.BatchNormalization()(kinds.Conv2D(filters, 3, padding="same")(y))
        if stride > 1:
            x = kinds.BatchNormalization()(kinds.Conv2D(filters, 1, strides=stride)(x))
        x = kinds.ReLU()(kinds.Add()([x, y]))
    x = kinds.GlobalAveragePooling2D()(x)
    return keras.Model(image, kinds.Dense(3, activation="softmax")(x))


def unet():
    image = keras.Input((16, 16, 2))
    left = kinds.Conv2D(3, 3, padding="same", activation="elu")(image)
    low = kinds.Conv2D(4, 3, padding="same", activation="relu")(kinds.MaxPooling2D()(left))
    up = kinds.Conv2DTranspose(3, 2, strides=2, padding="same")(low)
    other = kinds.Conv2D(2, 2, padding="same")(kinds.UpSampling2D()(low))
    x = kinds.Concatenate()([left, up, other])
    return keras.Model(image, kinds.Conv2D(1, 1, activation="sigmoid")(x))


def mobilenet():
    image = keras.Input((32, 24, 3))
    x = kinds.Rescaling(1 / 127.5, offset=-1)(image)
    x = kinds.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
    for stride in (1, 2):
        x = kinds.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
        x = kinds.ReLU(6.0)(kinds.BatchNormalization()(x))
        x = kinds.Conv2D(6, 1, activation="swish")(x)
    y = kinds.GlobalAveragePooling2D(keepdims=True)(x)
    y = kinds.Conv2D(6, 1, activation="hard_sigmoid")(kinds.Conv2D(2, 1, activation="relu")(y))
    x = kinds.Multiply()([x, y])
    x = kinds.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = kinds.SeparableConv2D(5, 3, strides=2, depth_multiplier=2, activation="relu")(x)
    y = kinds.Reshape((1, 1, 5))(kinds.GlobalMaxPooling2D()(x))
    return keras.Model(image, kinds.Dense(4)(kinds.Flatten()(kinds.Multiply()([x, y]))))


def convolutions():
    image = keras.Input((13, 12, 4))
    made = [
        kinds.Conv2D(6, (3, 2), strides=(2, 1), padding=padding, activation="tanh")(image)
        for padding in ("same", "valid")
    ]
    made += [
        kinds.Conv2D(6, 3, groups=2)(image),
        kinds.Conv2D(3, 3, dilation_rate=(2, 3), padding="same")(image),
        kinds.Conv2D(3, 1, strides=3, padding="same")(image),
        kinds.Conv2D(3, 4, strides=3, padding="same")(image),
        kinds.DepthwiseConv2D((2, 3), depth_multiplier=3, activation="relu")(image),
        kinds.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(image),
        kinds.DepthwiseConv2D(3, dilation_rate=2, padding="same")(image),
        kinds.SeparableConv2D(5, 3, strides=2, padding="same")(image),
        kinds.SeparableConv2D(5, (3, 2), depth_multiplier=2, use_bias=False)(image),
        kinds.Dense(5)(image),
    ]
    return keras.Model(image, made)


def transposed():
    image = keras.Input((5, 6, 3))
    made = [
        kinds.Conv2DTranspose(2, size, strides=stride, padding=padding)(image)
        for size, stride in ((3, 2), (2, 2), (4, 2), (1, 2), (3, 1), (2, 1), ((3, 4), (3, 2)))
        for padding in ("same", "valid")
    ]
    made += [
        kinds.Conv2DTranspose(2, 3, strides=2, padding=padding, output_padding=1)(image)
        for padding in ("same", "valid")
    ]
    made += [
        kinds.Conv2DTranspose(2, 4, strides=3, padding="same", output_padding=(1, 2))(image),
        kinds.Conv2DTranspose(2, 3, dilation_rate=2, padding="same", use_bias=False)(image),
        kinds.Conv2DTranspose(2, 2, dilation_rate=(1, 3) if THREE else 3, activation="relu")(image),
    ]
    return keras.Model(image, made)


def pools():
    inside = keras.Input((13, 11, 3))
    image = kinds.Conv2D(3, 1)(inside)
    made = [
        kind(size, strides=stride, padding=padding)(image)
        for kind in (kinds.MaxPooling2D, kinds.AveragePooling2D)
        for size, stride in ((3, 2), (2, None), ((2, 3), (3, 1)))
        # PyTorch's backend repeats the border in averages with an odd zero, TensorFlow does not
        for padding in ("same", "valid")
        if padding == "valid" or size == 3 or kind is kinds.MaxPooling2D or not torch_below()
    ]
    made += [kinds.GlobalMaxPooling2D()(image), kinds.GlobalAveragePooling2D()(image)]
    made += [kinds.GlobalMaxPooling2D(keepdims=True)(image)]
    return keras.Model(inside, made)


def torch_below():
    return keras.backend.backend() == "torch"


ACTIVATIONS = ["linear", "relu", "elu", "selu", "sigmoid", "tanh", "softplus", "swish", "gelu"]
ACTIVATIONS += ["hard_sigmoid", "softmax", "relu6", "leaky_relu"]


def activations():
    image = keras.Input((6, 5, 3))
    names = [*ACTIVATIONS, *(["silu", "hard_silu", "celu", "hard_tanh"] if THREE else [])]
    made = [kinds.Conv2D(4, 2, activation=name)(image) for name in names]
    made += [kinds.Activation(name)(image) for name in names]
    slope = "negative_slope" if THREE else "alpha"
    made += [
        kinds.LeakyReLU()(image),
        kinds.LeakyReLU(**{slope: 0.1})(image),
        kinds.PReLU(shared_axes=[1, 2])(image),
        kinds.PReLU()(kinds.Flatten()(kinds.Cropping2D(((2, 3), (2, 2)))(image))),
        kinds.ELU(0.7)(image),
        kinds.Softmax()(image),
        kinds.ReLU(max_value=0.5)(image),
        kinds.ReLU(negative_slope=0.2)(image),
    ]
    if THREE:
        made.append(kinds.Conv2D(4, 2, activation=kinds.LeakyReLU())(image))
    return keras.Model(image, made)


def normalisations():
    image = keras.Input((4, 4, 3))
    x = kinds.Conv2D(3, 1)(image)
    made = [
        kinds.BatchNormalization(scale=scale, center=center, epsilon=0.01)(x)
        for scale in (True, False)
        for center in (True, False)
    ]
    learned = kinds.Normalization()
    learned.adapt(np.random.default_rng(1).normal(2, 3, (20, 4, 4, 3)))
    made += [
        kinds.BatchNormalization()(kinds.Flatten()(x)),
        kinds.Normalization(mean=[1.0, 2.0, -3.0], variance=[0.5, 2.0, 9.0])(x),
        kinds.Normalization(mean=1.5, variance=4.0, axis=None)(x),
        kinds.Normalization(mean=[1.0, 2.0, -3.0], variance=[0.5, 2.0, 9.0], invert=True)(x),
        learned(x),
        kinds.Rescaling(0.5, offset=2)(x),
        kinds.Rescaling([0.5, 2.0, 3.0], offset=[1.0, 0.0, -1.0])(x),
        kinds.SpatialDropout2D(0.2)(x),
        kinds.GaussianNoise(0.2)(x),
        kinds.AlphaDropout(0.2)(x),
    ]
    return keras.Model(image, made)


def shapes():
    image = keras.Input((8, 6, 3))
    flat = kinds.Flatten()(image)
    square = kinds.Flatten()(kinds.Cropping2D(((1, 1), (0, 0)))(image))
    row = kinds.Dense(32)(kinds.GlobalAveragePooling2D()(image))
    made = [
        kinds.ZeroPadding2D(2)(image),
        kinds.ZeroPadding2D((1, 2))(image),
        kinds.ZeroPadding2D(((1, 0), (2, 3)))(image),
        kinds.Cropping2D(1)(image),
        kinds.Cropping2D(((0, 2), (1, 3)))(image),
        kinds.UpSampling2D((3, 2))(image),
        kinds.Dense(4)(flat),
        kinds.Dense(4)(kinds.Reshape((-1,))(image)),
        kinds.Dense(4)(kinds.Activation("relu")(kinds.Dropout(0.3)(flat))),
        kinds.Conv2D(2, 2)(kinds.Reshape((8, 6, 3))(flat)),
        kinds.Conv2D(2, 2)(kinds.Reshape((4, 4, -1))(row)),
        kinds.Conv2D(2, 1)(kinds.Reshape((1, 1, 32))(row)),
        kinds.Dense(2)(kinds.Flatten()(kinds.Permute((3, 1, 2))(image))),
        kinds.Conv2D(2, 2)(kinds.Permute((1, 2, 3))(image)),
        kinds.Softmax()(square),
        kinds.Concatenate()([square, row]),
    ]
    return keras.Model(image, made)


def rows_of_pixels():
    """Images without an axis of channels, as in tutorials."""
    image = keras.Input((9, 7))
    x = kinds.Conv2D(3, 3)(kinds.Reshape((9, 7, 1))(image))
    return keras.Model(image, [kinds.Dense(3)(kinds.Flatten()(image)), x])


def vectors():
    row = keras.Input((36,))
    x = kinds.Conv2D(3, 3)(kinds.Reshape((6, 6, 1))(row))
    return keras.Model(row, [kinds.Dense(2)(row), x])


def joins():
    one, other = keras.Input((5, 5, 3), name="one"), keras.Input((5, 5, 3), name="other")
    x, y = kinds.Conv2D(4, 2, name="left")(one), kinds.Conv2D(4, 2, name="right")(other)
    pixel = kinds.GlobalAveragePooling2D(keepdims=True)(y)
    channel = kinds.Conv2D(1, 1, activation="sigmoid")(x)
    made = [
        kinds.Add()([x, y, x]),
        kinds.Subtract()([x, y]),
        kinds.Multiply()([x, y]),
        kinds.Average()([x, y, y]),
        kinds.Maximum()([x, y]),
        kinds.Minimum()([x, y]),
        kinds.Concatenate()([x, y]),
        kinds.Concatenate(axis=3)([y, x]),
        kinds.Add()([x, pixel]),
        kinds.Multiply()([pixel, x]),
        kinds.Multiply()([channel, y]),
        kinds.Add()([kinds.Flatten()(x), kinds.Flatten()(y)]),
        kinds.Concatenate()([kinds.Flatten()(x), kinds.Flatten()(pixel)]),
    ]
    return keras.Model([one, other], made)


def arithmetic():
    image = keras.Input((4, 4, 3))
    x = kinds.Conv2D(3, 1)(image)
    made = [x + 3.0, 2.0 - x, x - 0.5, x * 2.0, x / 4.0, x * x, x + x, x - image]
    made += [x * np.array([1.0, 2.0, 3.0], np.float32)] if THREE else []
    if THREE:
        made += [keras.ops.relu(x), keras.ops.relu6(x), keras.ops.sigmoid(x), keras.ops.gelu(x)]
        made += [keras.activations.gelu(x), keras.ops.softmax(x), keras.ops.hard_sigmoid(x)]
        made += [keras.ops.leaky_relu(x, 0.3), keras.ops.elu(x, 0.5), keras.ops.absolute(x)]
    else:
        import tensorflow as tf

        made += [tf.nn.relu(x), tf.nn.relu6(x), tf.math.sigmoid(x), tf.add(x, 1.0)]
    return keras.Model(image, kinds.Concatenate(name="all")(made))


def nested():
    """Models within models, some called twice, some parts of them frozen."""
    inside = keras.Input((8, 8, 3))
    y = kinds.Conv2D(3, 3, padding="same", name="c")(inside)
    y = kinds.BatchNormalization(name="b")(y)
    block = keras.Model(inside, [y, kinds.Conv2D(2, 1, name="second")(y)], name="block")
    row = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            kinds.Conv2D(3, 3, padding="same", name="c"),
            kinds.BatchNormalization(center=False, name="b"),
            keras.Sequential([keras.Input((8, 8, 3)), kinds.Conv2D(3, 1, name="d")], name="deep"),
            kinds.BatchNormalization(name="last"),
        ],
        name="row",
    )
    row.layers[0].trainable = False
    block.get_layer("b").trainable = False
    image = keras.Input((8, 8, 3))
    shared = kinds.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    first, other = block(image)
    again, _ = block(shared(first))
    x = kinds.Add(name="sum")([row(again), shared(row(image))])
    return keras.Model(image, [kinds.Concatenate(name="both")([x, other]), row(x)])


def channels_first():
    image = keras.Input((2, 8, 9))
    first = {"data_format": "channels_first"}
    x = kinds.Conv2D(3, 3, strides=2, padding="same", activation="relu", **first)(image)
    x = kinds.BatchNormalization(axis=1)(x)
    x = kinds.PReLU(shared_axes=[2, 3])(x)
    y = kinds.DepthwiseConv2D(3, padding="same", **first)(x)
    x = kinds.Concatenate(axis=1)([x, y])
    made = [
        kinds.Dense(4)(kinds.Flatten(**first)(x)),
        kinds.Dense(4)(kinds.Flatten(data_format="channels_last")(x)),
        kinds.GlobalAveragePooling2D(**first)(x),
        kinds.MaxPooling2D(2, **first)(kinds.ZeroPadding2D(1, **first)(x)),
        kinds.Conv2DTranspose(3, 3, strides=2, padding="same", **first)(x),
        kinds.UpSampling2D(2, **first)(x),
        kinds.SeparableConv2D(3, 2, **first)(x),
        kinds.Softmax(axis=1)(x),
    ]
    return keras.Model(image, made)


def linear():
    """What decoding is exact for."""
    image = keras.Input((15, 14, 2))
    x = kinds.Conv2D(3, 3, strides=2, padding="same", name="stem")(image)
    y = kinds.BatchNormalization(name="scaled")(x)
    y = kinds.Conv2D(3, 3, padding="same", name="branch")(y)
    x = kinds.Add(name="block")([x, y])
    x = kinds.AveragePooling2D(2, name="pool")(x)
    x = kinds.Conv2DTranspose(2, 3, strides=2, padding="same", name="up")(x)
    x = kinds.Conv2D(2, 2, name="last")(x)
    return keras.Model(image, kinds.Dense(3, name="top")(kinds.Flatten()(x)))


MODELS = [lenet, vgg, resnet, unet, mobilenet, convolutions, transposed, pools, activations]
MODELS += [normalisations, shapes, rows_of_pixels, vectors, joins, arithmetic, nested, linear]


def main(folder):
    models = MODELS + ([channels_first] if torch_below() else [])
    for number, build in enumerate(models):
        keras.utils.set_random_seed(number)
        model = build()
        random = np.random.default_rng(number)
        for array in model.weights:
            positive = any(name in array.name for name in ("variance", "gamma", "alpha"))
            if "count" not in array.name:
                values = random.normal(0, 0.5, array.shape)
                array.assign(abs(values) + 0.1 if positive else values)
        for layer in model.layers:
            if isinstance(layer, kinds.Normalization):
                layer.finalize_state()
        name = build.__name__
        model.save(folder / f"{name}.h5")
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", **run(model, random))
    if torch_below():
        np.savez(
            folder / "gradients.npz", **gradients(keras.saving.load_model(folder / "linear.keras"))
        )


def run(model, random):
    """Return what goes in, what each layer makes, and what comes out."""
    inputs = [random.normal(0, 1, (2, *x.shape[1:])).astype("f4") for x in model.inputs]
    found = {f"in{n}": values for n, values in enumerate(inputs)}
    own = [
        layer
        for layer in getattr(model, "operations", model.layers)
        if not isinstance(layer, kinds.InputLayer) and not hasattr(layer, "layers")
    ]
    own = [layer for layer in own if len(layer._inbound_nodes) == 1]  # noqa: SLF001
    tensors = [*(layer.output for layer in own), *model.outputs]
    names = [f"layer {layer.name}" for layer in own]
    names += [f"out{n}" for n in range(len(model.outputs))]
    every = keras.Model(model.inputs, tensors)
    made = every.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    made = made if isinstance(made, list) else [made]
    return found | dict(zip(names, map(np.asarray, made), strict=True))


def gradients(model):
    """Return PyTorch's gradients of some units in the image."""
    import torch

    found = {}
    for name, (k, y, x) in UNITS.items():
        part = keras.Model(model.inputs, model.get_layer(name).output)
        image = torch.zeros((1, *model.inputs[0].shape[1:]), requires_grad=True)
        made = part(image)
        unit = made[0, k] if made.ndim == 2 else made[0, y, x, k]
        found[name] = torch.autograd.grad(unit, image)[0].numpy()[0].transpose(2, 0, 1)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
