"""Values: made once, never changed, equal where all their parts are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from fdref.arguments import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Kind = TypeVar("Kind")


_OWNERS: WeakValueDictionary[int, NDArray[Any]] = WeakValueDictionary()
"""Arrays that values hold, by their addresses as objects; nobody else can write to them."""


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that nobody makes writeable again: a view, which must ask its owner."""
    array.flags.writeable = False
    _OWNERS[id(array)] = array
    return array.view()


def is_held(array: NDArray[Any]) -> bool:
    """Tell whether an array is a value's own, so that another may hold it without a copy."""
    owner = array.base
    return (
        isinstance(owner, np.ndarray)
        and _OWNERS.get(id(owner)) is owner
        and (array.shape, array.strides, array.dtype) == (owner.shape, owner.strides, owner.dtype)
    )


class _View:
    """An attribute that is an array: each time another view, so that not even its shape is set."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        array = vars(instance)[self.name]
        return None if array is None else array.view()

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(f"cannot set {self.name!r}: values do not change; make another")


def hands_out_views(*names: str) -> Callable[[type[Kind]], type[Kind]]:
    """Have a class show views of its arrays."""

    def change(kind: type[Kind]) -> type[Kind]:
        for name in names:
            setattr(kind, name, _View(name))
        return kind

    return change


class Value:
    """What layers and networks have in common.

    A copy is the value itself, and what is unpickled is made anew by the class, so neither is ever
    writeable. Two are equal if they are of one class and all parts are the same, arrays to the bit.
    """

    def parts(self) -> dict[str, Any]:
        """Return the arguments that make an equal value."""
        return dict(vars(self))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.parts())

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Value) or type(self) is not type(other):
            return NotImplemented
        ours, theirs = self.parts(), other.parts()
        return all(_same(part, theirs[name]) for name, part in ours.items())

    def __hash__(self) -> int:
        return hash((type(self), *map(_key, self.parts().values())))

    def __repr__(self) -> str:
        parts = (f"{name}={_brief(part)}" for name, part in self.parts().items())
        return f"{type(self).__name__}({', '.join(parts)})"


def _made(kind: type[Value], parts: dict[str, Any]) -> Value:
    """Make what was pickled."""
    return kind(**parts)


def _same(ours: object, theirs: object) -> bool:
    if not isinstance(ours, np.ndarray) or not isinstance(theirs, np.ndarray):
        return bool(ours is theirs or (type(ours) is type(theirs) and ours == theirs))
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return False
    bits = f"u{ours.dtype.itemsize}"
    return np.array_equal(ours.view(bits), theirs.view(bits))


def _key(part: object) -> object:
    return (part.dtype, part.shape) if isinstance(part, np.ndarray) else part


def _brief(part: object) -> str:
    """Write an array as its dtype and shape."""
    return f"{part.dtype} {part.shape}" if isinstance(part, np.ndarray) else shown(part)
