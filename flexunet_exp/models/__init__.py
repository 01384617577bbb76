"""Architectures, a function that returns a keras.Model each, and the blocks and argument checks
they share."""
