"""The configuration of a command, for a call in Python."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, open_dict

from flexunet_exp.config import compose
from flexunet_exp.config.overrides import quote_path
from flexunet_exp.errors import InputError


def composed(command: str, words: Sequence[str], key: str, value: object) -> DictConfig:
    """The configuration of `command` with `words` as on its command line, and `key` set to `value`.

    Raises InputError for a word that the command does not know.
    """
    from flexunet_exp.jobs.explain import explain_composition

    try:
        cfg = compose.composed(command, [quote_path(word, command) for word in words])
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("hydra", "omegaconf"):
            raise
        raise InputError(explain_composition(error, command)) from None
    with open_dict(cfg):
        cfg[key] = value
    return cfg
