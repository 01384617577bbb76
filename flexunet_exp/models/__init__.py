"""Architectures, one function each that returns a keras.Model.

The blocks and the argument checks that they share are here too.
"""
