"""Keras callbacks that a yaml names, and those that every training has."""

from flexunet_exp.callbacks.configured import (
    BestCheckpoint,
    Curves,
    EpochImages,
    NanGuard,
    StopFile,
    TiledEpochImages,
)

__all__ = ["BestCheckpoint", "Curves", "EpochImages", "NanGuard", "StopFile", "TiledEpochImages"]
