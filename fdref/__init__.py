"""Filter decoding with substitution: any neuron of a trained CNN as a filter in image space.

The reference implementation of Rafegas & Vanrell, arXiv 1511.05084.
"""

from fdref import startup as _startup

_startup.watch()  # before all that takes time

import sys as _sys
from pathlib import Path as _Path
from zipimport import zipimporter as _zipimporter

if isinstance(__spec__.loader, _zipimporter):
    # Said at once: later, HDF5 and others would blame the shipped files.
    raise ImportError(  # noqa: TRY004 - nobody passed anything
        f"fdref does not run from inside {__spec__.loader.archive}: the networks and images that "
        "it ships must be files; install it with pip, or unpack it"
    )
if not (_Path(__file__).parent / "kernels").exists():
    # In a checkout, kernels and weights lie beside this folder; an installation puts them inside.
    from fdref import _checkout

    _sys.meta_path.append(_checkout)

from fdref.decoding.decode import decode, decode_all, stages
from fdref.decoding.to_disk import decode_to
from fdref.drawing.show import show
from fdref.engines import Engine
from fdref.errors import ArgumentError, DependencyError, FdrefError, FileError, NetworkError
from fdref.explorer import explore
from fdref.geometry import ReceptiveField
from fdref.layers import (
    BatchNorm,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Layer,
    Maximum,
    Normalize,
    Pad,
    Pool,
    PReLU,
    Product,
    ReLU,
    Scale,
    Shuffle,
    Softmax,
    Sum,
    Unknown,
    Upsample,
)
from fdref.measure.cluster import Cluster
from fdref.measure.composition import Composition, composition
from fdref.measure.correspondence import Correspondence, correspondence
from fdref.measure.evaluation import Evaluation, evaluate, respond
from fdref.measure.inversion import Inversion, invert
from fdref.measure.likeness import likeness, most_alike
from fdref.measure.matching import Match, match
from fdref.measure.noise import best_for_noise
from fdref.measure.nonlinearities import Nonlinearities, nonlinearities
from fdref.measure.occlusion import Occlusion, occlude
from fdref.measure.processes import Processes
from fdref.measure.reallocation import energies, reallocate
from fdref.measure.restyling import Restyled, restyle
from fdref.measure.specificity import Specificity, specificity
from fdref.measure.strongest import Strongest, strongest
from fdref.measure.theorem import Agreement, mean_over_switches
from fdref.measure.traits import Traits, traits
from fdref.network.graph import Network
from fdref.network.units import receptive_field
from fdref.operations import correlate, pool, substitute, unpool
from fdref.walk.forward import forward
from fdref.walk.projection import project, project_stages
from fdref.weights import Cifar, Digits, Mnist, Photos, cifar, load, mnist, save

__version__ = "0.1.0"

__all__ = [
    "Agreement",
    "ArgumentError",
    "BatchNorm",
    "Channels",
    "Cifar",
    "Cluster",
    "Composition",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Correspondence",
    "DependencyError",
    "Digits",
    "Dropout",
    "Elementwise",
    "Engine",
    "Evaluation",
    "FdrefError",
    "FileError",
    "Inversion",
    "Layer",
    "Match",
    "Maximum",
    "Mnist",
    "Network",
    "NetworkError",
    "Nonlinearities",
    "Normalize",
    "Occlusion",
    "PReLU",
    "Pad",
    "Photos",
    "Pool",
    "Processes",
    "Product",
    "ReLU",
    "ReceptiveField",
    "Restyled",
    "Scale",
    "Shuffle",
    "Softmax",
    "Specificity",
    "Strongest",
    "Sum",
    "Traits",
    "Unknown",
    "Upsample",
    "best_for_noise",
    "cifar",
    "composition",
    "correlate",
    "correspondence",
    "decode",
    "decode_all",
    "decode_to",
    "energies",
    "evaluate",
    "explore",
    "forward",
    "invert",
    "likeness",
    "load",
    "match",
    "mean_over_switches",
    "mnist",
    "most_alike",
    "nonlinearities",
    "occlude",
    "pool",
    "project",
    "project_stages",
    "reallocate",
    "receptive_field",
    "respond",
    "restyle",
    "save",
    "show",
    "specificity",
    "stages",
    "strongest",
    "substitute",
    "traits",
    "unpool",
]
