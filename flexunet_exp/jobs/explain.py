"""Error messages: what was found, what was expected, what to type next."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator, Sequence

from flexunet_exp.config.overrides import Word
from flexunet_exp.errors import InputError, did_you_mean
from flexunet_exp.tracking.trouble import STORE_ADVICE, first_line, silent


def explain(error: BaseException, command: str = "train") -> str:
    """The error as a message; an unexpected one with its type and how to see the stack trace."""
    if isinstance(error, InputError):
        return listing(error.problems)
    if isinstance(error, OSError) and error.errno in DISK_ADVICE:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}. {DISK_ADVICE[error.errno]}"
    package = type(error).__module__.split(".")[0]
    if package in ("hydra", "omegaconf"):
        return explain_composition(error, command)
    if package in ("mlflow", "requests", "sqlalchemy"):
        for sign, advice in STORE_ADVICE.items():
            if sign in str(error):
                return f"{advice} ({first_line(error)})"
    if package in ("mlflow", "requests") and (silence := silent(error)):
        instead = {"train": "train without it: tracking=local, tracking=none"}
        or_else = instead.get(command, "name another store: tracking.uri=ADDRESS")
        return f"The MLflow server does not answer ({silence}). Start it, or {or_else}."
    if package == "yaml":
        return f"A configuration file is not valid YAML: {error}"
    return f"{type(error).__name__}: {error}\nSet HYDRA_FULL_ERROR=1 for the stack trace."


FULL = (
    "Free some space and give the same command again, which goes on with the run; or write "
    "elsewhere with trainer.resume=never hydra.run.dir=FOLDER."
)
DISK_ADVICE = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
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
    """Hydra's message without its internals; for an unknown option or choice, the known ones."""
    from flexunet_exp import errors

    texts = [str(error)] + [str(error.__cause__)] * (error.__cause__ is not None)
    text = "\n".join(dict.fromkeys(texts))
    if unknown := re.search(r"Could not override '([\w.@/]+)'", text):
        return unknown_option(unknown[1], command)
    if plugin := re.search(r"Could not find 'hydra/launcher/(joblib|submitit)", text):
        return errors.not_installed(plugin[1], f"hydra-{plugin[1]}-launcher")
    if choice := re.search(r"Could not find '([\w@.]+)/([^']*)'", text):
        options = re.findall(r"^\t(\S+)$", text.split("Config search path")[0], re.MULTILINE)
        hint = did_you_mean(choice[2], options)
        there_are = ", ".join(options)
        return f"Unknown choice {choice[1]}={choice[2]}.{hint} There are: {there_are}."
    if "Ambiguous value for argument" in text:
        return f"{text}\nTo start one job per value, add -m: flexunet {command} -m …"
    return text


def unknown_option(option: str, command: str) -> str:
    """A message with the unknown option, the closest one, and all options of its section."""
    section, _, _ = option.rpartition(".")
    siblings = [f"{section}.{key}".lstrip(".") for key in known_keys(command, section)]
    if option in siblings and (below := known_keys(command, option)):
        options = ", ".join(f"{option}.{key}" for key in below)
        return f"{option}= has no choices here. Its options are {options}."
    if option in siblings:  # the first choice of a sweep has it
        group = option.split(".")[0]
        return (
            f"Not every {group} has the option {option!r}. Leave it out, or sweep over choices of "
            f"{group}= that have it. To print the options of one: flexunet {command} {group}=NAME "
            f"--cfg job -p {group}"
        )
    there_are = f" There are: {', '.join(siblings)}." if siblings else ""
    hint = goes_with(option) or did_you_mean(option, siblings)
    return f"Unknown option {option!r}.{hint}{there_are}"


def goes_with(option: str) -> str:
    """A sentence with the choices of the option's group that have it; empty if none has."""
    import yaml

    from flexunet_exp.config.compose import conf_dir

    group, _, name = option.rpartition(".")
    files = sorted((conf_dir() / group).glob("*.yaml")) if group else []
    having = [path.stem for path in files if name in (yaml.safe_load(path.read_bytes()) or {})]
    return f" It goes with {' or '.join(f'{group}={one}' for one in having)}." if having else ""


def choices(words: Sequence[str]) -> Iterator[str]:
    """The words that choose a file of a group; of a sweep over several files, the first."""
    for word in map(Word.parse, words):
        if re.fullmatch(r"[\w/]+", word.key) and re.fullmatch(r"[\w,]+", word.value or ""):
            yield str(Word(word.key, (word.value or "").split(",")[0]))


def known_keys(command: str, section: str) -> list[str]:
    """The keys of a section of the command's configuration, with the typed choices."""
    from hydra.errors import HydraException
    from omegaconf import DictConfig, OmegaConf

    from flexunet_exp.config.compose import composed

    try:
        config = composed(command, list(choices(sys.argv[1:])))
    except HydraException:  # one of the choices is wrong too
        config = composed(command, [])
    node = OmegaConf.select(config, section) if section else config
    return sorted(map(str, node)) if isinstance(node, DictConfig) else []
