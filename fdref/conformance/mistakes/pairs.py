"""Two mistakes at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fdref.conformance.case import OPERATIONS
from fdref.conformance.mistakes.mistake import Mistake, Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.layers import Layer

CLASSES = ("rules", "way", "sight")
"""Parts that are classes, whose methods call those above: one may inherit from both."""


def both(one: Mistake, other: Mistake) -> Mistake | None:
    """Return two mistakes as one: None where they are the same part's, and but one can be.

    Examples
    --------
    >>> from fdref.conformance.mistakes import MISTAKES
    >>> found = {mistake.name: mistake for mistake in MISTAKES}
    >>> both(found["filters-flipped"], found["stride-ignored"]).name
    'filters-flipped and stride-ignored'
    """
    parts = _parts(one.wrong.parts, other.wrong.parts)
    if parts is None:
        return None
    own = set(one.operations) | set(other.operations)
    return Mistake(
        f"{one.name} and {other.name}",
        f"{one.sentence}. And: {other.sentence}",
        tuple(operation for operation in OPERATIONS if operation in own),
        Wrong(_operations(one.wrong.operations, other.wrong.operations), parts),
        (one, other),
    )


def _operations(first: Any, second: Any) -> dict[str, Callable[..., Any]]:
    found = {**first, **second}
    for name in first.keys() & second.keys():
        found[name] = _after(first[name], second[name])
    return found


def _after(first: Callable[..., Any], second: Callable[..., Any]) -> Callable[..., Any]:
    """Do an operation in the first way, over one that is done in the second."""

    def operation(right: Callable[..., Any], *arguments: Any) -> Any:
        return first(partial(second, right), *arguments)

    return operation


def _parts(first: Any, second: Any) -> dict[str, Any] | None:
    found = {**first, **second}
    for name in first.keys() & second.keys():
        one, other = first[name], second[name]
        if name == "read":
            found[name] = _read(one, other)
        elif name == "question":
            found[name] = _question(one, other)
        elif name == "change":
            found[name] = _change(one, other)
        elif name in CLASSES and one is not other:
            try:
                found[name] = type(name, (one, other), {})
            except TypeError:  # one inherits from the other
                return None
        else:
            return None
    return found


def _read(one: Callable[[Layer], Layer], other: Callable[[Layer], Layer]) -> Any:
    def read(layer: Layer) -> Layer:
        return other(one(layer))

    return read


def _question(one: Callable[..., Any], other: Callable[..., Any]) -> Any:
    def question(operation: str, inputs: Any, known: Any) -> Any:
        return other(operation, *one(operation, inputs, known))

    return question


def _change(one: Callable[..., Any], other: Callable[..., Any]) -> Any:
    def change(found: Any, *question: Any) -> Any:
        return other(one(found, *question), *question)

    return change
