"""flexunet import-config: an INI file of the original program → an experiment and a data set."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from omegaconf import DictConfig

from flexunet_exp.config.overrides import quote_path
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app

log = logging.getLogger(__name__)


def main() -> None:
    """The command; a word that is no option names the file."""
    before = sys.argv[:-1]
    sys.argv[1:] = [
        word if one.startswith("-") else with_key(word)  # `job` of --cfg job is no file
        for one, word in zip(before, sys.argv[1:], strict=True)
    ]
    app.run_app("import_config", task)


def with_key(word: str) -> str:
    is_file = "=" not in word and not word.startswith("-") and word[0] not in "~+"
    return quote_path(f"input={word}", "import_config") if is_file else word


def task(cfg: DictConfig) -> None:
    """Reads, converts, checks and writes; InputError with every problem, and nothing written."""
    from flexunet_exp.commands.import_config import converting, ini, writing
    from flexunet_exp.config import own_conf
    from flexunet_exp.config.validation.settings import own_problems

    if problems := own_problems(cfg, "import_config"):
        raise InputError(problems)
    file = Path(cfg.input).expanduser().resolve()
    name = name_of(cfg.output, file)
    files = [f"{folder}/{name}.yaml" for folder in ("dataset", "experiment")]
    for one in files:
        own_conf.check_new(one, "output=ANOTHER or overwrite=true", cfg.overwrite)
    converted = converting.convert(ini.read(file), file, cfg)
    heading = list(writing.headings(file, cfg.faithful, name))
    texts = [writing.dataset(name, converted, heading),
             writing.experiment(name, converted, heading)]  # fmt: skip
    check_composed(name, texts)
    for one, text in zip(files, texts, strict=True):
        path = own_conf.write_new(one, text, "output=ANOTHER or overwrite=true", cfg.overwrite)
        log.info("Made: %s", path)
    log.info("\n%s\n", "\n".join(writing.report(converted)))
    log.info("Keys: %s", writing.counts(converted))
    log.info("Check it     flexunet check dataset=%s", name)
    log.info("Train on it  flexunet train experiment=%s", name)


def name_of(output: str | None, file: Path) -> str:
    """The name of the two files; by default the folder's name, or the file's own."""
    given = file.parent.name if file.stem == "train_eval_infer" else file.stem
    name = str(output or re.sub(r"\W+", "_", given.lower()).strip("_"))
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise InputError(
            f"output={name!r}: expected letters, digits, _ and -, a letter first, as in output=bolt"
        )
    return name


def check_composed(name: str, texts: list[str]) -> None:
    """Raises InputError if the experiment does not compose, or its settings do not fit together."""
    from flexunet_exp.config import compose
    from flexunet_exp.config.validation.settings import check_settings

    staged = f"{name}_staged"  # so that no file of this name in the person's folder hides it
    with TemporaryDirectory() as folder:
        for group, text in zip(("dataset", "experiment"), texts, strict=True):
            path = Path(folder) / group / f"{staged}.yaml"
            path.parent.mkdir()
            path.write_text(
                text.replace(f"override /dataset: {name}\n", f"override /dataset: {staged}\n")
            )
        words = [f"hydra.searchpath=[file://{folder}]", f"experiment={staged}"]
        check_settings(compose.composed("train", words))
