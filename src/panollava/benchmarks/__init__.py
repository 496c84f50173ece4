"""Loaders of public panoramic benchmarks, one file each; none is written yet."""
