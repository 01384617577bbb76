"""Errors in words: what was found, what was expected, what to type next."""

from __future__ import annotations

import errno
import re

from flexunet_exp.errors import InputError, did_you_mean


def explain(error: BaseException, command: str = "train") -> str:
    """The error as text for a person; unforeseen ones name their type and how to see the trace."""
    if isinstance(error, InputError):
        return listing(error.problems)
    if isinstance(error, OSError) and error.errno in DISK_ADVICE:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}. {DISK_ADVICE[error.errno]}"
    if type(error).__module__.split(".")[0] in ("hydra", "omegaconf"):
        return explain_composition(error, command)
    return f"{type(error).__name__}: {error}\nSet HYDRA_FULL_ERROR=1 for the stack trace."


DISK_ADVICE = {
    errno.ENOSPC: "Free some space, or write elsewhere with hydra.run.dir=FOLDER.",
    errno.EDQUOT: "Free some space, or write elsewhere with hydra.run.dir=FOLDER.",
    errno.EACCES: "Make it writable, or write elsewhere with hydra.run.dir=FOLDER.",
    errno.EPERM: "Make it writable, or write elsewhere with hydra.run.dir=FOLDER.",
    errno.EROFS: "Write elsewhere with hydra.run.dir=FOLDER.",
}


def listing(problems: list[str]) -> str:
    """One problem as it is, several as a numbered list."""
    if len(problems) == 1:
        return problems[0]
    numbered = [f"{number}. {problem}" for number, problem in enumerate(problems, start=1)]
    return "\n  ".join([f"{len(problems)} problems:", *numbered])


def explain_composition(error: BaseException, command: str) -> str:
    """Hydra's own words, and for an unknown key the keys that there are."""
    texts = [str(error)] + [str(error.__cause__)] * (error.__cause__ is not None)
    unknown = re.search(r"Could not override '([\w.@/]+)'", texts[0])
    if not unknown:
        return "\n".join(dict.fromkeys(texts))
    section, _, key = unknown[1].rpartition(".")
    siblings = known_keys(command, section)
    there_are = f" There are: {', '.join(siblings)}." if siblings else ""
    hint = did_you_mean(key, siblings)
    return f"Unknown option {unknown[1]!r}.{hint}{there_are}"


def known_keys(command: str, section: str) -> list[str]:
    """The keys of a section of the command's default configuration."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import DictConfig, OmegaConf

    from flexunet_exp.config import conf_dir

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = compose(command)
    node = OmegaConf.select(config, section) if section else config
    return sorted(map(str, node)) if isinstance(node, DictConfig) else []
