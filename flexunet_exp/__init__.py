"""Experiments in multiclass defect segmentation, composed by Hydra, tracked in MLflow."""

__version__ = "0.1.0"
