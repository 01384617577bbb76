"""Architectures: one self-contained file each, a function that returns a `keras.Model`."""
