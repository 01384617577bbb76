"""Sweeps: presets, dry runs, launchers, and studies that search with Optuna."""
