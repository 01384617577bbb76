"""Sweeps: presets, what would be trained (dry), and studies that search (Optuna)."""
