"""JSON that anybody may have written: how much it makes us hold is known before it is parsed."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from fdref.weights.files import refusal

if TYPE_CHECKING:
    from fdref.weights.bounded import Budget

LONGEST = 2**25
"""Bytes of text; a network of a thousand layers is described in two million."""
DEEPEST = 100
"""Objects and lists within each other; a model in a model takes four."""
EXPANSION = 40
"""Bytes that Python's objects take for each of the text: `[]` is 56 in a list of pointers."""
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Possessive, and with or without an end: so it takes one pass over any text."""
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parsed(text: bytes, name: str, budget: Budget) -> Any:
    r"""Parse a text, once its size and depth are found to be bearable.

    Parameters
    ----------
    text : bytes
        UTF-8.
    name : str
        What it is, for messages.
    budget : Budget
        What its values may take; every object and every list is one to be visited.

    Raises
    ------
    FileError
        If it is no JSON, too long, too deep, or an object has two values of one name.

    Examples
    --------
    >>> from fdref.weights.bounded import Budget
    >>> parsed(b'{"class_name": "Sequential"}', "config.json", Budget())
    {'class_name': 'Sequential'}
    """
    if len(text) > LONGEST:
        raise refusal(name, f"has {len(text)} bytes, expected at most {LONGEST} of JSON")
    brackets = STRING.sub(b"", text).translate(None, NO_BRACKETS)
    count = brackets.count(b"[") + brackets.count(b"{")
    budget.take((name,), EXPANSION * len(text), count)
    if len(brackets) != 2 * count:
        raise refusal(name, "is no JSON, fetch it again (brackets do not match)")
    deepest = max(accumulate(1 if one in b"[{" else -1 for one in brackets), default=0)
    if deepest > DEEPEST:
        raise refusal(name, f"is {deepest} levels deep, expected at most {DEEPEST}: damaged")
    try:
        return json.loads(text.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise refusal(name, f"is no JSON, fetch it again ({error})") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, which Python would of the last of two equal names."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("an object has two values of one name")
    return made
