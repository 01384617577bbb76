"""Scalings of pixels to a network's input, by name; imports no Keras, which takes seconds."""

# Scale and offset that turn raw pixels, 0..255, into the network's input.
INPUT_SCALINGS = {"none": (1.0, 0.0), "unit": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0)}
