"""Section 7: what must be refused, which a mutant computes somehow."""

from __future__ import annotations

from mutants.making import unrefused

SENTENCES = {
    "Their only output is `refused`": [
        (unrefused, "refuse-correlate-channels refuse-decode-layer")
    ],
    "- shapes that do not fit": [
        (unrefused, ("refuse-correlate-channels refuse-forward-channels refuse-substitute-channels "
            "refuse-respond-channels refuse-evaluate-channels refuse-bnorm-channels")),
        (unrefused, "refuse-correlate-bias"),
        (unrefused, "refuse-correlate-groups refuse-substitute-groups"),
    ],
    "- a window that is larger": [
        (unrefused, ("refuse-pool-window refuse-pool-width refuse-correlate-height "
            "refuse-forward-small")),
        (unrefused, "refuse-correlate-window"),
        (unrefused, ("refuse-pool-pad refuse-pool-pad-bottom refuse-pool-pad-left "
            "refuse-pool-pad-right")),
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
        (unrefused, "refuse-occlude-size"),
    ],
    "- in graphs: a sum or concatenation": [
        (unrefused, "refuse-forward-graph-sum refuse-forward-graph-concat"),
        (unrefused, "refuse-forward-graph-channels"),
        (unrefused, "refuse-forward-graph-later"),
        (unrefused, "refuse-decode-graph-jumps refuse-decode-graph-product"),
        (unrefused, "refuse-decode-position"),
    ],
}  # fmt: skip
