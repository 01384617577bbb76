"""Annotations of other tools: what their files say, as objects, drawn into masks.

`formats` read files into an `Export` of `records`. `raster` draws a shape as a tool does, `drawing`
a picture's objects into one mask of classes.
"""
