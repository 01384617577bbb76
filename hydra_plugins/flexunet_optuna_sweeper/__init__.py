"""Hydra looks for sweepers in the namespace package hydra_plugins, and nowhere else."""
