"""Losses on index masks and logits: ignored pixels count nowhere, absent classes have no term."""

from flexunet_exp.losses.combined import CrossEntropyDice
from flexunet_exp.losses.cross_entropy import CrossEntropy, Focal
from flexunet_exp.losses.lovasz import LovaszSoftmax
from flexunet_exp.losses.overlap import Dice, FocalTversky, Tversky

__all__ = [
    "CrossEntropy",
    "CrossEntropyDice",
    "Dice",
    "Focal",
    "FocalTversky",
    "LovaszSoftmax",
    "Tversky",
]
