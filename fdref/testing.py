"""For implementers who test in Python: the conformance kit without files."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref.arguments import one_of, path_of, shown, texts
from fdref.conformance.case import OPERATIONS, SPECIFICATION_VERSION
from fdref.conformance.comparison import Problem
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike
    from pathlib import Path

    from fdref.conformance.case import Case
    from fdref.conformance.comparison import Answer
    from fdref.conformance.examination import Circumstances

SEVERAL = ("forward", "decode", "evaluate", "receptive_field", "occlude")
"""Operations with several outputs, which a function may return as a list."""


def assert_conforms(
    function: Callable[..., Any] | Mapping[str, Callable[..., Any]],
    operation: str | None = None,
    *,
    only: Iterable[str] = (),
    profile: str | None = None,
    kit: str | PathLike[str] | None = None,
    xfail: Iterable[str] = (),
) -> None:
    """Run a function through the conformance kit's cases of one operation, or several functions.

    Parameters
    ----------
    function : callable or dict
        Called as ``function(**inputs, **parameters)``, with the names of SPECIFICATION.md: inputs
        are NumPy arrays of its own to keep, parameters what JSON holds. It returns an array, or
        where the operation has several outputs a dict of arrays by name or a list of arrays in the
        specification's order. Anything that `numpy.asarray` takes counts as an array. Cases that
        must be refused expect an exception. A network's ``{"file": ...}`` is an absolute path. Or
        several functions by their operations.
    operation : str
        Such as "unpool": a heading of SPECIFICATION.md. None for several functions.
    only : iterable of str
        Cases to be tried alone: IDs, operations, sections, or patterns of these with ``*``.
    profile : str
        Of several functions, what they should make together: "forward", "decode" or "full". What
        there is no function for is not attempted then, and the whole does not conform.
    kit : path, optional
        A folder that ``fdref kit`` wrote; by default the cases of this version of fdref.
    xfail : iterable of str
        Cases that are known to fail: IDs, or patterns with ``*``, each with ``# a reason``.

    Raises
    ------
    AssertionError
        If a case fails, or one of `xfail` passes, or no case passes. The message is the report of
        ``fdref check``.
    ArgumentError
        If there is no such operation or profile, or an entry of `xfail` or `only` matches none of
        the cases.
    FileError
        If the kit cannot be read.
    MemoryError, RecursionError, ImportError
        As the function raises them: they say nothing about what it computes.

    Examples
    --------
    >>> from fdref.testing import assert_conforms
    >>> def rectify(images, leak):
    ...     return np.where(images < 0, leak and leak * images, images)
    >>> assert_conforms(rectify, "relu")
    >>> assert_conforms({"relu": rectify}, only=["relu-leak*"])
    >>> assert_conforms(lambda images, leak: np.abs(images), "relu")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: <lambda>, against the conformance kit of fdref ...
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    from fdref.conformance.examination import examine  # noqa: PLC0415 - a light import
    from fdref.conformance.expectations import excuses  # noqa: PLC0415
    from fdref.conformance.part import part_of  # noqa: PLC0415
    from fdref.conformance.report import text  # noqa: PLC0415

    functions = _functions(function, operation, profile)
    excused, asked = texts(xfail, "xfail"), texts(only, "only")
    folder = None if kit is None else path_of(kit, "kit")
    version, everything, about = _cases(folder)
    whole = [case for case in everything if profile is not None or case.operation in functions]
    part, cases = part_of(whole, asked, profile)
    known = excuses(excused, [case.id for case in whole])
    errors: list[Exception] = []

    def answer(case: Case) -> Answer:
        own = functions.get(case.operation)
        return None if own is None else _answer(own, case, folder, errors)

    name = ", ".join(getattr(one, "__name__", repr(one)) for one in functions.values())
    about = about._replace(part=part)
    report = examine(name, version, cases, answer, folder, known, circumstances=about)
    if not report.conforms:
        raise AssertionError(text(report)) from (errors[0] if errors else None)


def _functions(
    function: object, operation: str | None, profile: str | None
) -> dict[str, Callable[..., Any]]:
    """Return functions by their operations."""
    several = isinstance(function, Mapping)
    if several == (operation is not None):
        what = "a dict" if several else "a function"
        raise ArgumentError(
            f"operation is {shown(operation)} for {what}; expected a function and its operation, "
            "or a dict of functions by operation"
        )
    if operation is not None:
        one_of(operation, "operation", OPERATIONS)
    if profile is not None and not several:
        raise ArgumentError(f"profile is {shown(profile)} for one function; expected a dict")
    given = dict(function) if isinstance(function, Mapping) else {operation: function}
    found: dict[str, Callable[..., Any]] = {}
    for name, own in given.items():
        if not callable(own):
            raise ArgumentError(f"function is {shown(own)}; expected a function")
        found[one_of(str(name), "operation", OPERATIONS)] = own
    if not found:
        raise ArgumentError("function is {}; expected a function, or some by operation")
    return found


def _cases(folder: Path | None) -> tuple[str, Sequence[Case], Circumstances]:
    """Return the version of fdref that cases are from, the cases, and what else there is to say."""
    from fdref.conformance.examination import Circumstances  # noqa: PLC0415 - a light import

    if folder is None:
        from fdref.conformance.cases import cases  # noqa: PLC0415 - a light import

        return fdref.__version__, cases(), Circumstances(specification=SPECIFICATION_VERSION)
    from fdref.conformance.kit import read_kit  # noqa: PLC0415 - a light import

    found = read_kit(folder)
    about = Circumstances("", found.specification, found.manifest, warnings=found.warnings)
    return found.version, found.cases, about


def _answer(
    function: Callable[..., Any], case: Case, folder: Path | None, errors: list[Exception]
) -> Answer:
    """Ask a function; what it raises where it should not is added to `errors`."""
    inputs = {name: np.array(values) for name, values in case.inputs.items()}
    try:
        result = function(**inputs, **_parameters(case, folder))
        if case.refused:
            return {"refused": np.array(0)}
        return _outputs(case, result)
    except (MemoryError, RecursionError, ImportError):  # no answer, and no refusal either
        raise
    except Exception as error:  # noqa: BLE001 - a stranger's function may raise anything
        if case.refused:
            return {"refused": np.array(1)}
        errors.append(error)
        return Problem(f"raised {type(error).__name__}: {error}")


def _parameters(case: Case, folder: Path | None) -> dict[str, Any]:
    """Return the parameters of a case, a network's file with its path."""
    from fdref.weights import SHIPPED  # noqa: PLC0415 - a light import

    parameters = deepcopy(dict(case.parameters))
    network = parameters.get("network")
    if isinstance(network, dict):
        known = folder is not None and (folder / network["file"]).is_file()
        path = folder / network["file"] if folder is not None and known else SHIPPED
        parameters["network"] = {"file": str(path.absolute())}
    return parameters


def _outputs(case: Case, result: Any) -> Answer:
    """Give what a function returned the names of the outputs."""
    if isinstance(result, Mapping):
        return {str(name): np.asarray(values) for name, values in result.items()}
    if case.operation not in SEVERAL:
        return {name: np.asarray(result) for name in case.expected}
    names = list(case.expected)
    if not isinstance(result, list | tuple) or len(result) != len(names):
        kind = "None" if result is None else f"a {type(result).__name__}"
        what = f"{len(result)} outputs" if isinstance(result, list | tuple) else kind
        return Problem(f"returned {what}; expected a list or dict of {', '.join(names)}")
    return {name: np.asarray(values) for name, values in zip(names, result, strict=True)}
