"""The code around every command: its Hydra app, its processes, its error messages."""
