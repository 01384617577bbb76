"""Predicts any number of pictures into an output folder; goes on after it was cut off."""
