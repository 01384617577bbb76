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


# What Hydra says of a plus before what is there: an option, or a choice of files.
ADDED = (
    r"An item is already at '([^']*)'|Multiple values for ([\w/@.]+)\."
    r"|force-add of config groups is not supported: '([^']*)'"
)


def listing(problems: list[str]) -> str:
    """One problem as it is, several as a numbered list."""
    if len(problems) == 1:
        return problems[0]
    numbered = [f"{number}. {problem}" for number, problem in enumerate(problems, start=1)]
    return "\n  ".join([f"{len(problems)} problems:", *numbered])


def explain_composition(error: BaseException, command: str) -> str:
    """Hydra's message without its internals; for an unknown option or choice, the known ones."""
    from flexunet_exp import errors

    if word := getattr(error, "override", None):
        return unreadable(Word.parse(str(word)))
    texts = [str(error)] + [str(error.__cause__)] * (error.__cause__ is not None)
    text = "\n".join(dict.fromkeys(texts))
    if plus := re.search(ADDED, text):
        key = next(filter(None, plus.groups())).split("=")[0].lstrip("+")
        typed = next((word for word in map(Word.parse, sys.argv[1:]) if word.key == key), None)
        without = Word(key, typed.value if typed else "…").as_typed()
        return f"{key} is there already, so it needs no plus. Type {without}"
    if several := re.search(r"Ambiguous value for argument '(.*)'", text):
        word = Word.parse(several[1])
        return (
            f"{word} has several values. As one list: {word.key}=[{word.value}]. For one run with "
            f"each, add -m: flexunet {command} -m {word} …"
        )
    if unknown := re.search(r"Could not override '([\w.@/]+)'", text):
        return unknown_option(unknown[1], command)
    if plugin := re.search(r"Could not find 'hydra/launcher/(joblib|submitit)", text):
        return errors.not_installed(plugin[1], f"hydra-{plugin[1]}-launcher")
    if choice := re.search(r"Could not find '([\w@./]+)/([^'/]*)'", text):
        options = re.findall(r"^\t(\S+)$", text.split("Config search path")[0], re.MULTILINE)
        hint = did_you_mean(choice[2], options)
        there_are = ", ".join(options)
        return f"Unknown choice {choice[1]}={choice[2]}.{hint} There are: {there_are}."
    return text


def unreadable(word: Word) -> str:
    """A message on a word that is not written as Hydra's grammar has it."""
    value = word.value
    if value is None or not word.key:
        return f"{word} is no option. Type NAME=VALUE, without blanks around the equals sign."
    if value[:1] == "(" and value[-1:] == ")":
        inner = value[1:-1].replace(" ", "").strip(",")
        return f"{word}: a list has square brackets. Type {Word(word.key, f'[{inner}]', word.sign)}"
    return (
        f"{word}: this value cannot be read. Close its brackets and quotes. A text with special "
        f"characters goes into two pairs of quotes: \"{word.sign}{word.key}='TEXT'\""
    )


def unknown_option(option: str, command: str) -> str:
    """A message with the unknown option, the closest one, and all options of its section."""
    section, _, name = option.rpartition(".")
    if lacking := lacking_choices(section, name, command):
        return lacking
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


def lacking_choices(group: str, name: str, command: str) -> str:
    """A message on those of a sweep's choices that lack an option; empty if none has it."""
    typed = [word.value for word in map(Word.parse, sys.argv[1:]) if word.key == group]
    swept = (typed[-1] or "").split(",") if typed else []
    having = [one for one in swept if name in known_keys(command, group, [f"{group}={one}"])]
    lacking = [f"{group}={one}" for one in swept if one not in having]
    if len(swept) < 2 or not having or not lacking:
        return ""
    return (
        f"{' and '.join(lacking)} {'has' if len(lacking) == 1 else 'have'} no {name}. Leave "
        f"{group}.{name} out, or sweep over {group}={','.join(having)} alone."
    )


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


def known_keys(command: str, section: str, chosen: Sequence[str] = ()) -> list[str]:
    """The keys of a section of the command's configuration, with these or the typed choices."""
    from hydra.errors import HydraException
    from omegaconf import DictConfig, OmegaConf

    from flexunet_exp.config.compose import composed

    try:
        config = composed(command, list(chosen or choices(sys.argv[1:])))
    except HydraException:  # one of the choices is wrong too
        config = composed(command, [])
    node = OmegaConf.select(config, section) if section else config
    return sorted(map(str, node)) if isinstance(node, DictConfig) else []
