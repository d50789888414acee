"""Sentences that no arithmetic breaks: about files, words, verdicts and what is left out."""

TITLE = "a title, or what the method is"
FILES = "where things lie: test_kit.py and test_results.py read and write them"
WORDS = "names of inputs, parameters and outputs: whoever has others gives no output of that name"
PART = "what may be left out: test_check.py and test_check_parts.py"
VERDICT = "how results are judged: test_comparison.py, test_results.py and test_kit_answers.py"
MODEL = "how a kit of one's own network is written: test_kit_model.py and test_kit_model_cases.py"
LEADS_ON = "the rule follows, in the next line"

ABOUT = dict.fromkeys(
    [
        "Version 2.0.",
        "The method is *filter decoding",
        "Every case of the kit cites",
        "| word | shape |",
        "2.1 correlate.",
        "2.2 pool.",
        "2.3 relu.",
        "2.4 normalize.",
        "2.5 bnorm.",
        "2.6 forward.",
        "3.1 substitute.",
        "3.2 decode.",
        "3.3 project.",
        "5.1 receptive_field.",
        "5.2 respond.",
        "9.1 Graphs.",
        "9.2 Decoding in graphs.",
        "9.3 Pools.",
        "What an image's activations amount to",
        "| layer | what it hands down |",
        "| layer | picture over the map",
        "It is not in the paper.",
        "Some cases cannot be computed.",
        "Zeiler & Fergus's occlusion:",
    ],
    TITLE,
)
ABOUT |= dict.fromkeys(
    [
        "`manifest.json` has the list",
        "The arrays lie in `cases/ID.npz`",
        "Your outputs belong into",
        "With `--format h5`",
        "Results may be",
        "*MATLAB and Octave* see",
        "Save results in that order",
        "A vector may be a row",
        'or `{"file": "lenet"}`',
        "There `lenet.npz` is",
        "A kit in HDF5 has `lenet.mat`",
        '`{"file": "model.mat"}`',
    ],
    FILES,
)
ABOUT |= dict.fromkeys(
    [
        "A network is the parameter",
        '`{"type": "conv", "filters"',
        "Inputs `images`, `filters`, perhaps",
        "Output `response`:",
        "Input `images`; parameters `window`",
        "Output `pooled`.",
        "Input `images`; parameter `leak`.",
        "Input `images`; parameters `size`",
        "Input `images`, parameter `network`.",
        "Inputs `maps` (N, K, h, w)",
        "Input `maps` (N, C, h, w)",
        "Parameter `network`, a list of",
        "Inputs `images` (N, C0, H, W), `bank`",
        "Input `images`, parameters `network`, `layer`, `unpool`.",
        "Beside the layers of section 2",
    ],
    WORDS,
)
ABOUT |= dict.fromkeys(
    [
        "Leave a case out",
        "No case asks for a chain's layers",
        "An implementation without projections",
        "A decoder without it leaves out",
        "An implementation for chains alone",
        "An implementation without occlusion",
    ],
    PART,
)
ABOUT |= dict.fromkeys(
    [
        "Where all numbers are small integers",
        "Elsewhere |got - expected|",
        "A shape must be the expected one",
        "(Switches decide;",
        "The expected values are computed",
    ],
    VERDICT,
)
ABOUT |= dict.fromkeys(
    [
        "`fdref kit KIT --model FILE`",
        "Whatever FILE is",
        "Layers are counted in the order of that file",
        "The images are what goes into the network",
        "Inputs and outputs are float32",
        "In a DagNN the input is",
    ],
    MODEL,
)
ABOUT |= dict.fromkeys(["They are:", "Then the map's layer hands down:"], LEADS_ON)
