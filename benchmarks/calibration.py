"""python benchmarks/calibration.py RUN …: are probabilities more honest with a run's temperatures?

Each RUN is a run folder, or that of a multirun. Its test pictures, on which nothing was fitted, are
predicted without and with the temperatures of its calibration.json. A row a run and group of pixels
(all; truth or prediction a defect) is appended to docs/measured/calibration.csv: expected
calibration error over 15 bins, and mean negative log-likelihood in nats. A network that is there is
not measured again. A run without temperatures is fitted first, as `flexunet evaluate` does.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from flexunet_exp.data import dataset as datasets
from flexunet_exp.evaluation import calibrating
from flexunet_exp.prediction import calibration, networks
from flexunet_exp.runs.folder import FinishedRun, load_below
from flexunet_exp.scores import reliability

TABLE = Path(__file__).resolve().parents[1] / "docs" / "measured" / "calibration.csv"
COLUMNS = (
    *("data", "network", "seed", "fold", "temperature", "own", "valid_pictures"),
    *("test_pictures", "group", "pixels", "ece_before", "ece_after", "nll_before", "nll_after"),
)


def rows(run: FinishedRun) -> Iterator[dict[str, object]]:
    """A row for each group of pixels."""
    dataset = datasets.from_table(run.cfg, datasets.read_table(run.samples))
    datasets.check_unchanged(dataset)
    fitted = calibration.read(run)
    predictor = networks.load([run], {"calibrated": False}).predictor
    before, after = calibrating.measured(predictor, fitted.divisors, dataset, "test")
    for group in reliability.GROUPS:
        yield {
            "data": run.cfg.dataset.name,
            "network": fitted.network,
            "seed": run.cfg.trainer.seed,
            "fold": run.cfg.split.get("fold", ""),
            "temperature": f"{fitted.common:.4f}",
            "own": " ".join(fitted.own),
            "valid_pictures": fitted.fitted_on["pictures"],
            "test_pictures": len(dataset.split("test")),
            "group": group,
            "pixels": reliability.pixels(before, group),
            "ece_before": f"{reliability.ece(before, group):.6f}",
            "ece_after": f"{reliability.ece(after, group):.6f}",
            "nll_before": f"{reliability.nll(before, group):.6f}",
            "nll_after": f"{reliability.nll(after, group):.6f}",
        }


def known() -> set[str]:
    """The networks that the table has."""
    if not TABLE.is_file():
        return set()
    with open(TABLE, newline="") as file:
        return {row["network"] for row in csv.DictReader(file)}


def append(found: list[dict[str, object]]) -> None:
    is_new = not TABLE.is_file()
    with open(TABLE, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    found = [run for folder in parser.parse_args().runs for run in load_below(folder)]
    networks.prepare_process(found[0])
    calibrating.fit_missing(found, {})
    for run in found:
        if not calibration.has_any(run):
            print(f"{run.folder}: no validation picture shows a defect")
        elif calibration.read(run).network not in known():
            append(new := list(rows(run)))
            for row in new:
                print(*row.values(), sep="\t")


if __name__ == "__main__":
    main()
