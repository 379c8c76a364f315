"""Trains methods with one recipe, evaluates them, and compares them in a table."""
