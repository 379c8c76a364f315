"""Utilities that do not depend on models or datasets."""
