"""Prediction of any number of pictures into an output folder, which can be cut off and goes on."""
