"""Checks a composed configuration before any work: every problem at once, each with its fix."""

from flexunet_exp.config.validation.settings import (
    check_command,
    check_objective,
    check_sections,
    check_settings,
    own_problems,
)
from flexunet_exp.config.validation.targets import check_targets

__all__ = [
    "check_command",
    "check_objective",
    "check_sections",
    "check_settings",
    "check_targets",
    "own_problems",
]
