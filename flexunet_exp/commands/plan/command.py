"""flexunet plan: an experiment that fits a data set, this machine and some minutes."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence

from omegaconf import DictConfig

from flexunet_exp.config import own_conf, validation
from flexunet_exp.config.options import of_command
from flexunet_exp.config.overrides import Word, choices, shell, task_overrides
from flexunet_exp.errors import InputError
from flexunet_exp.jobs import app
from flexunet_exp.training import batch_size

log = logging.getLogger(__name__)

DECIDED = ("trainer.epochs", "dataset.patch.features")  # by the minutes, and by the size


def main() -> None:
    """The command."""
    app.run_app("plan", task)


def task(cfg: DictConfig) -> None:
    """Measures, plans and writes; InputError where nothing fits, or the plan is there already."""
    words, files = [word.as_typed() for word in task_overrides()], choices()
    typed = {word.key for word in words}
    check(cfg, typed)
    name = f"{files['dataset']}_plan"
    path = f"experiment/{name}.yaml"
    own_conf.check_new(path, "overwrite=true", cfg.overwrite)
    from flexunet_exp.commands.plan import file, planning

    planned = planning.plan(cfg, files, typed)
    train = next_command(words, files, planned.keys, name)
    heading = [*planned.sentences(), shell(train)]
    text = file.text(heading, planned.lines())
    written = own_conf.write_new(path, text, "overwrite=true", cfg.overwrite)
    log.info("\n%s", "\n".join(planned.sentences()))
    log.info("\nPlan       %s", written)
    log.info("Train it   %s", shell(train))
    if folds := planned.split.folds:
        every = f"split.fold={','.join(map(str, range(folds)))}"
        log.info("All folds  %s", shell([*train[:2], "-m", *train[2:], every]))


def check(cfg: DictConfig, typed: Collection[str]) -> None:
    """Raises InputError with every problem of the settings, before anything is read."""
    validation.check_command(cfg, "plan")
    if decided := [key for key in DECIDED if key in typed]:
        raise InputError(
            f"A plan decides {' and '.join(decided)} by the minutes. Leave it out, or type it with "
            "flexunet train"
        )
    if cfg.dataset.cache != "features":
        raise InputError(
            f"dataset.cache={cfg.dataset.cache}: a plan trains from kept features. Leave it out"
        )
    if cfg.trainer.batch_size == batch_size.AUTO:
        raise InputError(
            "trainer.batch_size=auto: a plan measures with the batch that it writes. Type a "
            "number, such as trainer.batch_size=8, or leave it out"
        )
    if problems := list(unfit(cfg)):
        raise InputError(problems)
    validation.check_targets(cfg, ("dataset", "split", "augmentation"))


def unfit(cfg: DictConfig) -> Iterator[str]:
    """The problems of a network or schedule that a plan cannot be made with."""
    if "output_stride" not in cfg.model:
        yield (
            f"The network {name_of(cfg.model)} has no encoder whose features could be kept, and a "
            "plan trains from kept features. Type model=unet, or leave it out"
        )
    if name_of(cfg.schedule) != "cosine":
        yield (
            f"The schedule {name_of(cfg.schedule)}: a plan decides the epochs of schedule=cosine. "
            "Leave it out, or type it with flexunet train"
        )


def name_of(section: DictConfig) -> str:
    """The function that a section builds from, without its package."""
    return str(section.get("_target_")).rpartition(".")[2]


def next_command(
    words: Sequence[Word], files: dict[str, str | None], planned: Collection[str], name: str
) -> list[str]:
    """The words that train the plan: those that were typed, without what the plan has."""
    own = {row.key for row in of_command("plan")} | {"dataset"}
    others = [str(word) for word in words if word.key not in own | set(planned)]
    return ["flexunet", "train", f"dataset={files['dataset']}", *others, f"experiment={name}"]
