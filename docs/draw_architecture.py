"""python docs/draw_architecture.py: draws docs/explanation/architecture.svg from the imports.

Rows are the layers of the import contract in pyproject.toml. The picture carries the list it was
drawn from as its description; tests/test_docs.py compares that with the imports of today.
"""

from __future__ import annotations

import re
import tomllib
from html import unescape
from pathlib import Path

import grimp
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "explanation" / "architecture.svg"
PACKAGE = "flexunet_exp"

CAPTIONS = {
    "cli": "the console script",
    "api": "runs in Python",
    "commands": "what a person types",
    "sweeps": "many runs, a search",
    "training": "one fit",
    "evaluation": "scores, and their page",
    "callbacks": "during a fit",
    "jobs": "what surrounds a command",
    "tracking": "a run in MLflow",
    "prediction": "picture to probabilities",
    "reporting": "panels, plots, pages",
    "decisions": "what to stop",
    "labels": "doubts of them",
    "scores": "counts to figures",
    "runs": "a run on disk",
    "data": "folders to batches",
    "models": "the architectures",
    "losses": "logits to one number",
    "metrics": "figures of an epoch",
    "optimizers": "Adam in one pass",
    "schedules": "learning rates",
    "config": "built, checked, hashed",
    "system": "files, locks, threads",
    "errors": "what a person can mend",
}
KERAS = {"models", "losses", "metrics", "optimizers", "schedules", "callbacks"}
COLUMNS = {
    **{
        "optimizers": 0,
        "evaluation": 0.4,
        "reporting": 1,
        "decisions": 1,
        "labels": 2,
        "scores": 1,
        "data": 1,
    },
    **{"system": 1.5, "models": 2, "errors": 2.6, "callbacks": 2.6, "config": 3.5, "losses": 4},
    **{"cli": 5, "jobs": 5, "schedules": 5, "metrics": 6},
}
"""Where a box stands in its row, so that no arrow crosses one; 3, the middle, for all others."""
COLUMN, ROW = 1.75, 0.9  # inches
WIDTH, HEIGHT = 1.55, 0.5

Point = tuple[float, float]

Imports = dict[str, set[str]]
"""A folder (or file) of the package → those it imports."""


def layers() -> list[list[str]]:
    """The rows of the layers contract, top first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [re.findall(r"\w+", row) for row in rows]


def imports() -> Imports:
    """Who imports whom now, folder by folder; imports within one are left out."""
    graph = grimp.build_graph(PACKAGE)
    found: Imports = {name: set() for row in layers() for name in row}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            importer, target = folder(module), folder(imported)
            if importer != target and importer in found and target in found:
                found[importer].add(target)
    return found


def folder(module: str) -> str:
    return (module.split(".") + [""])[1]


def listing(found: Imports) -> str:
    return "; ".join(f"{name}: {' '.join(sorted(found[name])) or '-'}" for name in sorted(found))


def drawn_listing() -> str:
    """The list that the committed picture was drawn from."""
    described = re.search(r"<dc:description>(.*?)</dc:description>", PICTURE.read_text(), re.DOTALL)
    return unescape(described[1]) if described else ""


def direct_only(found: Imports) -> list[tuple[str, str]]:
    """The arrows that no chain of other arrows implies."""
    return [
        (name, target)
        for name, targets in found.items()
        for target in sorted(targets)
        if not any(target in reachable(found, other) for other in targets - {target})
    ]


def reachable(found: Imports, name: str) -> set[str]:
    below = set(found[name])
    for target in found[name]:
        below |= reachable(found, target)
    return below


def draw(found: Imports) -> Figure:
    rows = layers()
    width, height = COLUMN * 7, ROW * len(rows)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    places = {
        name: (COLUMN * (COLUMNS.get(name, 3) + 0.5), height - ROW * (line + 0.5))
        for line, row in enumerate(rows)
        for name in row
    }
    for importer, imported in direct_only(found):
        draw_arrow(axes, places[importer], places[imported])
    for name, place in places.items():
        draw_box(axes, name, place)
    return figure


def draw_arrow(axes: Axes, start: Point, end: Point) -> None:
    """From the bottom of a box to the top of another."""
    bottom, top = (start[0], start[1] - HEIGHT / 2), (end[0], end[1] + HEIGHT / 2)
    style = {"arrowstyle": "-|>", "mutation_scale": 10, "color": "#5b6b7b"}
    axes.add_patch(FancyArrowPatch(bottom, top, shrinkA=0, shrinkB=1, **style))


def draw_box(axes: Axes, name: str, place: Point) -> None:
    x, y = place
    colour = "#fdf0d5" if name in KERAS else "#e3edf7"
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(
        FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle=style, facecolor=colour, edgecolor="#2f4f6f")
    )
    axes.text(x, y + 0.09, name, ha="center", va="center", fontsize=12, weight="bold")
    axes.text(x, y - 0.12, CAPTIONS.get(name, ""), ha="center", va="center", fontsize=7.5)


def main() -> None:
    # Text stays text, and the same imports give the same bytes.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": PACKAGE})
    found = imports()
    draw(found).savefig(PICTURE, metadata={"Description": listing(found), "Date": None})
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
