"""Whether these are the outputs of that implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.compute import result_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.conformance.case import Arrays, Case

ULPS = 4
"""How far a wrong result may be off the mistake's where the right one must match bit for bit."""


def equal(case: Case, wanted: Arrays, got: Arrays) -> bool:
    """Tell whether outputs equal others within the case's tolerance, shapes and NaN included."""
    return wanted.keys() == got.keys() and all(
        _near(case, name, np.asarray(wanted[name]), np.asarray(got[name])) for name in wanted
    )


def _near(case: Case, name: str, wanted: NDArray[Any], got: NDArray[Any]) -> bool:
    if wanted.shape != got.shape:
        return False
    tolerance = case.tolerance.of(name)
    wanted, found = wanted.astype(np.float64), got.astype(np.float64)
    last = ULPS * float(np.finfo(result_type(case.inputs)).eps)
    with np.errstate(invalid="ignore"):
        slack = np.abs(wanted) * max(tolerance.rtol, last) + tolerance.atol
        near = np.isfinite(wanted) & (np.abs(wanted - found) <= slack)
        same = (wanted == found) | near
    return bool((same | (np.isnan(wanted) & np.isnan(found))).all())
