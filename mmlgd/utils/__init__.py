"""Helpers that know neither models nor datasets."""
