"""What is recorded of a finished run: its folder, its provenance, and its tags in the store."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from flexunet_exp.config.overrides import Word, words_in
from flexunet_exp.data import dataset as datasets
from flexunet_exp.errors import InputError
from flexunet_exp.runs.folder import FILES, FinishedRun
from flexunet_exp.runs.outcome import read_outcome
from flexunet_exp.tracking import find_runs, provenance
from flexunet_exp.tracking.store import CONTINUES, OVERRIDES, SIGNATURE, Store


@dataclass(frozen=True)
class Recorded:
    """A finished run. `provenance` is empty for a run of an earlier release."""

    run: FinishedRun
    provenance: dict[str, Any]
    tags: dict[str, str]  # in the store; empty without one
    params: dict[str, str]
    run_id: str | None

    @property
    def name(self) -> str:
        """The run's name, by which a person knows it."""
        named = self.tags.get("mlflow.runName") or read_outcome(self.run.folder).name
        return named or self.run.folder.name

    @property
    def origin(self) -> str:
        """What names the run: its id in the store, else its folder."""
        return self.run_id or str(self.run.folder)

    @property
    def commit(self) -> str | None:
        """The commit of the program; None where it is not recorded, or is no commit's name."""
        kept = self.provenance.get("commit") or self.tags.get("mlflow.source.git.commit") or ""
        return kept if re.fullmatch(r"[0-9a-f]{7,64}", kept) else None

    @property
    def went_on_from(self) -> str | None:
        """The finished run from whose last state it went on; None for a whole training."""
        return self.tags.get(CONTINUES)

    @property
    def is_uncommitted(self) -> bool:
        """Whether the checkout had changes that no commit has."""
        if "uncommitted" in self.provenance:
            return bool(self.provenance["uncommitted"])
        return self.tags.get("git_dirty") == "true"

    @property
    def signature(self) -> str | None:
        return self.provenance.get("signature") or self.tags.get(SIGNATURE)

    @property
    def threads(self) -> int | None:
        """The threads that it was trained with; None where that is not recorded."""
        return self.provenance.get("threads") or self.run.cfg.trainer.get("threads")

    @property
    def words(self) -> list[Word] | None:
        """The words of its command line, as they were typed; None where they are not recorded."""
        if (words := self.provenance.get("words")) is not None:
            return [Word.parse(word) for word in words]
        line = self.tags.get(OVERRIDES)
        return words_in(line) if line else None

    @cached_property
    def table(self) -> pd.DataFrame:
        return datasets.read_table(self.run.samples)

    @cached_property
    def data_digest(self) -> str | None:
        """The digest of pictures, masks and split."""
        return self.of_data("digest") or self.card.get("digest") or self.tags.get("data_digest")

    @cached_property
    def data_folder(self) -> Path:
        """The data set's folder when the run was trained."""
        kept = self.of_data("folder") or self.card.get("path")
        return Path(kept or os.path.commonpath([Path(i).parent for i in self.table["image"]]))

    def of_data(self, name: str) -> Any:
        return self.provenance.get("data", {}).get(name)

    @cached_property
    def card(self) -> dict[str, Any]:
        """The run's data card; empty where it has none that can be read."""
        try:
            found = json.loads((self.run.folder / "card.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def find(cfg: DictConfig, download_to: Path) -> Recorded:
    """The run that `run=` names, with all that is recorded of it.

    Raises InputError where it names no run, several, or a network's file without a run.
    """
    run = find_runs.find(cfg, download_to)
    if not all((run.folder / name).is_file() for name in FILES):
        raise InputError(
            f"run={cfg.run} is a network's file without the configuration of its run. Give the "
            "run folder, or the run's id in the store."
        )
    stored = in_store(cfg, run)
    return Recorded(
        run,
        provenance.read(run.folder),
        dict(stored.data.tags) if stored else {},
        dict(stored.data.params) if stored else {},
        stored.info.run_id if stored else run.run_id,
    )


def in_store(cfg: DictConfig, run: FinishedRun) -> Any | None:
    """The run in the store of `tracking.*`; None without one."""
    if not cfg.tracking.uri:
        return None
    store = Store.if_there(cfg.tracking.uri, cfg.tracking.experiment_name)
    if store is None:
        return None
    known = run.run_id or read_outcome(run.folder).run_id  # a folder may have been moved
    is_there = known is not None and store.has_run(known)
    return store.run_of(known if is_there else None, str(run.folder))
