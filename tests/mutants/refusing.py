"""Section 7: what must be refused, which a mutant computes somehow."""

from __future__ import annotations

import numpy as np

from mutants.making import unrefused


def with_sides_swapped(case):
    """Compare the pads above and below with the window's width, the others with its height."""
    (high, wide), (top, bottom, left, right) = case.parameters["window"], case.parameters["pad"]
    return {"refused": np.array(int(max(top, bottom) >= wide or max(left, right) >= high))}


def with_axes_swapped(case):
    """Compare the square's height with the image's width, and its width with the height."""
    (high, wide), (height, width) = case.parameters["size"], case.inputs["images"].shape[2:]
    return {"refused": np.array(int(high > width or wide > height))}


SENTENCES = {
    "Their only output is `refused`": [
        (unrefused, "refuse-correlate-channels refuse-decode-layer")
    ],
    "- shapes that do not fit": [
        (unrefused, ("refuse-correlate-channels refuse-forward-channels refuse-substitute-channels "
            "refuse-respond-channels refuse-evaluate-channels refuse-bnorm-channels")),
        (unrefused, "refuse-correlate-bias refuse-bnorm-bias refuse-bnorm-bias-one"),
        (unrefused, "refuse-bnorm-moments"),
        (unrefused, "refuse-forward-graph-scale refuse-forward-graph-offset"),
        (unrefused, "refuse-correlate-groups refuse-substitute-groups"),
    ],
    "- a window that is larger": [
        (unrefused, ("refuse-pool-window refuse-pool-width refuse-correlate-height "
            "refuse-forward-small")),
        (unrefused, "refuse-correlate-window"),
        (unrefused, ("refuse-pool-pad refuse-pool-pad-bottom refuse-pool-pad-left "
            "refuse-pool-pad-right refuse-pool-pad-top")),
        (with_sides_swapped, ("refuse-pool-pad-top refuse-pool-pad-bottom refuse-pool-pad-left "
            "refuse-pool-pad-right")),
        (unrefused, "refuse-pool-pad-negative refuse-correlate-pad-negative"),
        (unrefused, ("refuse-pool-stride refuse-correlate-stride refuse-substitute-stride "
            "refuse-unpool-stride refuse-unpool-window")),
    ],
    "- layers, filters, activations": [
        (unrefused, "refuse-decode-layer refuse-evaluate-layer refuse-occlude-layer"),
        (unrefused, "refuse-decode-layer-zero refuse-evaluate-layer-zero refuse-project-layer"),
        (unrefused, "refuse-decode-filter refuse-decode-filter-negative"),
        (unrefused, "refuse-project-place refuse-project-negative refuse-project-image"),
        (unrefused, "refuse-occlude-label refuse-occlude-label-negative"),
        (unrefused, "refuse-pool-method refuse-unpool-method refuse-decode-method"),
        (unrefused, "refuse-project-rule"),
    ],
    "- a softmax below what is projected": [
        (unrefused, "refuse-project-softmax"),
        (unrefused, "refuse-occlude-size refuse-occlude-height refuse-occlude-width"),
        (with_axes_swapped, "refuse-occlude-height refuse-occlude-width"),
        (unrefused, "refuse-occlude-none refuse-occlude-none-wide"),
    ],
    "- in graphs: a sum or concatenation": [
        (unrefused, "refuse-forward-graph-sum refuse-forward-graph-concat"),
        (unrefused, "refuse-forward-graph-channels"),
        (unrefused, "refuse-forward-graph-later"),
        (unrefused, "refuse-decode-graph-jumps refuse-decode-graph-product"),
        (unrefused, "refuse-decode-position refuse-decode-graph-single"),
    ],
}  # fmt: skip
