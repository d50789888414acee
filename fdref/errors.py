"""The one family of exceptions: what was passed, what was expected, what to do, in one line."""


class FdrefError(Exception):
    """Anything that fdref refuses; the message is one line, fit to be shown to a user."""


class ArgumentError(FdrefError, ValueError):
    """An argument has the wrong type, shape, range or name."""


class NetworkError(FdrefError, ValueError):
    """Layers that are wrong in themselves or do not fit each other."""


class FileError(FdrefError):
    """A file that cannot be read, is not what it should be, or cannot be written."""
