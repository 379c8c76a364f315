"""The errors that mmlgd raises on bad input.

Every message names the thing, the place where it was found and how to fix it. All
derive from :class:`MMLGDError`, and from the built-in error a caller would
expect, so that ``except ValueError`` keeps working.
"""


class MMLGDError(Exception):
    """Base of all errors of mmlgd."""


class ConfigError(MMLGDError, ValueError):
    """A config, an option or an argument that cannot work."""


class TeacherError(MMLGDError, RuntimeError):
    """A teacher that cannot be built, loaded or asked."""


class BankError(MMLGDError, RuntimeError):
    """A semantics bank that does not belong to this model, names or encoder."""


class DataError(MMLGDError, RuntimeError):
    """A dataset that is absent, empty or broken."""


class ImageReadError(DataError):
    """One image that cannot be read or decoded.

    Datasets that replace broken images catch this error and no other one, so that a
    wrong option of a transform is never counted as a broken image.
    """


class CheckpointError(MMLGDError, RuntimeError):
    """A checkpoint that does not hold what is asked of it."""


class DependencyError(MMLGDError, ImportError):
    """A library that is absent, or installed in a version that cannot work."""
