"""How pixels become the input of a network, by name: without Keras, for the light step too."""

# Scale and offset that turn raw pixels, 0..255, into the network's input.
INPUT_SCALINGS = {"none": (1.0, 0.0), "unit": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0)}
