"""Hydra looks for launchers in the namespace package hydra_plugins, and nowhere else."""
