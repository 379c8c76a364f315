"""Version of mmlgd."""

__version__ = '0.1.0'
