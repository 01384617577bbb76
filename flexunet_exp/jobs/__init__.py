"""What surrounds any command: its Hydra app, its processes, its errors in words."""
