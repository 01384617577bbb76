"""Registers a run, and makes it the champion if it is better."""
