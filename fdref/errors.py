"""The one family of exceptions: what was passed, what was expected, what to do, in one line."""

LONGEST = 1200
"""Characters of a message."""


class FdrefError(Exception):
    """Anything that fdref refuses; the message is one line, fit to be shown to a user."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, LONGEST))


class ArgumentError(FdrefError, ValueError):
    """An argument has the wrong type, shape, range or name."""


class NetworkError(FdrefError, ValueError):
    """Layers that are wrong in themselves or do not fit each other."""


class FileError(FdrefError):
    """A file that cannot be read, is not what it should be, or cannot be written."""


class DependencyError(FdrefError, ImportError):
    """A package that is needed is not installed, or does not work with the others."""


def one_line(text: str, most: int | None = 80) -> str:
    r"""Make any text one line without control codes, its middle left out where it is too long.

    >>> one_line("\x1b[31mKlasse Ä\n" + "a" * 100 + "z", most=20)
    '?[31mKlas ... aaaaaz'
    """
    if most is not None and len(text) > most:
        tail = (most - 5) // 2 - 1
        text = f"{text[: most - 5 - tail]} ... {text[-tail:]}"
    return "".join(char if char.isprintable() else "?" for char in text)
