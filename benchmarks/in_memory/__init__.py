"""Comparison of methods on small images in memory: long runs, several seeds, long tails."""
