"""Errors that mmlgd raises on bad input.

Every message says what is wrong, where it was found and how to fix it. All errors
derive from :class:`MMLGDError` and from the built-in error that a caller would
expect, so that ``except ValueError`` keeps working.
"""


class MMLGDError(Exception):
    """Base class of all errors of mmlgd."""


class ConfigError(MMLGDError, ValueError):
    """An invalid config, option or argument."""


class TeacherError(MMLGDError, RuntimeError):
    """A teacher that cannot be built, loaded or used."""


class BankError(MMLGDError, RuntimeError):
    """A semantics bank that does not match the model, the names or the encoder."""


class DataError(MMLGDError, RuntimeError):
    """A dataset that is missing, empty or broken."""


class ImageReadError(DataError):
    """One image that cannot be read or decoded.

    Datasets that replace broken images catch only this error, so that a wrong option of
    a transform is never counted as a broken image.
    """


class CheckpointError(MMLGDError, RuntimeError):
    """A checkpoint without the requested contents."""


class DependencyError(MMLGDError, ImportError):
    """A library that is missing or installed in an unsupported version."""
