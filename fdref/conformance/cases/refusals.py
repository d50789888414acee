"""Cases of section 7: what cannot be computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.cases.making import conv, pool, refused
from fdref.conformance.cases.numbers import integers
from fdref.conformance.cases.sides import SIDES, alone, along

if TYPE_CHECKING:
    from fdref.conformance.case import Case


def cases() -> list[Case]:
    """Return them all."""
    return [*of_operations(), *of_networks()]


def of_operations() -> list[Case]:
    """Return what single operations refuse."""
    images, filters = integers(301, (1, 4, 5, 6)), integers(302, (6, 4, 2, 3))
    maps = {"maps": images}
    batch = {"gain": np.ones(4, np.float32), "bias": np.zeros(4, np.float32),
             "moments": np.ones((4, 2), np.float32)}  # fmt: skip
    return [
        refused("refuse-correlate-channels", "filters of 3 channels for images of 4",
            {"images": images, "filters": filters[:, :3]}),
        refused("refuse-correlate-groups", "5 filters cannot be shared out to 2 groups",
            {"images": images, "filters": filters[:5, :2]}, groups=2),
        refused("refuse-correlate-window", "a dilated filter wider than the padded images",
            {"images": images, "filters": filters}, pad=(0, 0, 1, 1), dilate=(1, 4)),
        refused("refuse-correlate-bias", "5 biases for 6 filters",
            {"images": images, "filters": filters, "bias": integers(303, (5,))}),
        refused("refuse-pool-window", "a window higher than the images", {"images": images},
            window=(6, 2), stride=(2, 2)),
        refused("refuse-pool-pad", "a window could lie in the padding and see no pixel",
            {"images": images}, stride=(2, 2), pad=(2, 0, 0, 0)),
        *(
            refused(f"refuse-pool-pad-{side}",
                f"pad as large as the window at the {side}, whose other side is longer: a window "
                "could see no pixel", {"images": images}, stride=(1, 1),
                window=along(side, 4, 2), pad=alone(side, 2), method=method)
            for side, method in zip(SIDES, ("avg", "max", "avg", "max"), strict=True)
        ),
        refused("refuse-pool-pad-negative", "a pad of -1", {"images": images}, stride=(2, 2),
            pad=(0, -1, 0, 0)),
        refused("refuse-correlate-pad-negative", "a pad of -1",
            {"images": images, "filters": filters}, pad=(0, 0, -1, 0)),
        refused("refuse-pool-method", "a method that section 2.2 does not know",
            {"images": images}, stride=(2, 2), method="median"),
        refused("refuse-pool-stride", "a stride of 0", {"images": images}, stride=(2, 0)),
        refused("refuse-pool-width", "a window wider than the padded images", {"images": images},
            window=(2, 9), stride=(2, 2), pad=(0, 0, 1, 1)),
        refused("refuse-correlate-stride", "a stride of 0",
            {"images": images, "filters": filters}, stride=(0, 1)),
        refused("refuse-correlate-height", "a filter higher than the padded images",
            {"images": integers(311, (1, 1, 2, 5)), "filters": integers(312, (1, 1, 4, 1))},
            pad=(1, 0, 0, 0)),
        refused("refuse-substitute-stride", "a stride of 0",
            {**maps, "filters": filters[:4]}, stride=(1, 0)),
        refused("refuse-unpool-window", "a window of 0", maps, stride=[2, 2], window=[2, 0],
            method="nearest"),
        refused("refuse-bnorm-channels", "3 gains for images of 4 channels",
            {"images": images, "gain": np.ones(3, np.float32), "bias": np.zeros(3, np.float32),
             "moments": np.ones((3, 2), np.float32)}),
        *(
            refused(f"refuse-bnorm-{name}", f"4 channels have 4 {what}, not {len(given)}",
                {"images": images, **batch, key: given})
            for name, key, what, given in (
                ("bias", "bias", "biases", np.zeros(5, np.float32)),
                ("bias-one", "bias", "biases", np.zeros(1, np.float32)),
                ("moments", "moments", "pairs of moments", np.ones((5, 2), np.float32)),
            )
        ),
        refused("refuse-substitute-channels", "maps of 4 channels, filters for 6",
            {**maps, "filters": filters}),
        refused("refuse-substitute-groups", "4 channels cannot be shared out to 3 groups",
            {**maps, "filters": filters[:4]}, groups=3),
        refused("refuse-unpool-method", "a method that section 4 does not know", maps,
            stride=[2, 2], window=[2, 2], method="lanczos"),
        refused("refuse-unpool-stride", "a stride of 0", maps, stride=[0, 2], window=[2, 2],
            method="nearest"),
        refused("refuse-respond-channels", "a bank of 3 channels for images of 4",
            {"images": images, "bank": filters[:, :3]}, stride=[1, 1], offset=[0, 0],
            output=[4, 4]),
    ]  # fmt: skip


def of_networks() -> list[Case]:
    """Return what networks refuse."""
    arrays = {"filters1": integers(304, (2, 1, 3, 3)), "filters3": integers(305, (3, 2, 2, 2))}
    network = [conv("filters1"), pool((2, 2), (2, 2)), conv("filters3")]
    unfit = [conv("filters3"), conv("filters3")]
    known = {"network": network, "unpool": "nearest"}
    projected = {"images": integers(309, (1, 1, 8, 9)), **arrays}
    up: dict[str, Any] = {"network": network, "layer": 3}
    hidden = up | {"stride": [1, 1], "value": [0], "labels": [0]}
    return [
        refused("refuse-forward-small", "images too small for the last layer",
            {"images": integers(306, (1, 1, 4, 9)), **arrays}, network=network),
        refused("refuse-forward-channels", "a layer gets 3 channels, its filters have 2",
            {"images": integers(307, (1, 2, 6, 6)), "filters3": arrays["filters3"]}, network=unfit),
        refused("refuse-decode-layer", "layers are counted from 1: there is no layer 4", arrays,
            layer=4, filters=[0], **known),
        refused("refuse-decode-filter", "filters are counted from 0: there is no filter 3", arrays,
            layer=3, filters=[3], **known),
        refused("refuse-project-rule", "a rule that section 3.3 does not know", projected,
            kept=[[0, 0, 0, 0]], rule="excitation", **up),
        refused("refuse-project-place", "the map of layer 3 has two rows: there is no row 2",
            projected, kept=[[0, 0, 2, 0]], rule="deconvnet", **up),
        refused("refuse-project-softmax", "a deconvnet cannot begin at a softmax", projected,
            network=[*network, {"type": "softmax"}], layer=4, kept=[[0, 0, 0, 0]],
            rule="deconvnet"),
        refused("refuse-occlude-size", "a square wider than the images", projected,
            size=[3, 10], **hidden),
        refused("refuse-occlude-height", "a square higher than the images, but not than wide",
            projected, size=[9, 3], **hidden),
        refused("refuse-occlude-width", "a square wider than the images, but not than high",
            projected | {"images": projected["images"].swapaxes(2, 3)}, size=[3, 9], **hidden),
        refused("refuse-occlude-none", "a square of no rows", projected, size=[0, 3], **hidden),
        refused("refuse-occlude-none-wide", "a square of no columns", projected, size=[3, 0],
            **hidden),
        refused("refuse-occlude-label", "of three classes there is no number 3", projected,
            size=[3, 3], **hidden | {"labels": [3]}),
        refused("refuse-decode-layer-zero", "layers are counted from 1: there is no 0", arrays,
            layer=0, filters=[0], **known),
        refused("refuse-decode-filter-negative", "there is no filter -1, not even the last",
            arrays, layer=3, filters=[0, -1], **known),
        refused("refuse-decode-method", "a method that section 4 does not know", arrays, layer=3,
            filters=[0], network=network, unpool="lanczos"),
        refused("refuse-project-layer", "layers are counted from 1: there is no layer 0", projected,
            kept=[[0, 0, 0, 0]], rule="gradient", **up | {"layer": 0}),
        refused("refuse-project-image", "of one image there is no number 1", projected,
            kept=[[1, 0, 0, 0]], rule="gradient", **up),
        refused("refuse-project-negative", "there is no channel -1", projected,
            kept=[[0, -1, 0, 0]], rule="gradient", **up),
        refused("refuse-occlude-layer", "the network has three layers: there is no layer 4",
            projected, size=[3, 3], **hidden | {"layer": 4}),
        refused("refuse-occlude-label-negative", "there is no class -1", projected, size=[3, 3],
            **hidden | {"labels": [-1]}),
        refused("refuse-evaluate-layer", "there is no layer 4", projected, layer=4, **known),
        refused("refuse-evaluate-layer-zero", "there is no layer 0", projected, layer=0, **known),
        refused("refuse-evaluate-channels", "images of 2 channels for a network of 1",
            {"images": integers(308, (1, 2, 8, 8)), **arrays}, layer=3, **known),
    ]  # fmt: skip
