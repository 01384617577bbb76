"""The files of a comparison: one page, CSV and Markdown tables, the contact sheets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from flexunet_exp.commands.compare import charts, contact_sheet, sentences, tables
from flexunet_exp.commands.compare.comparison import Comparison, Judged
from flexunet_exp.commands.compare.evidence import Files
from flexunet_exp.commands.compare.sentences import Shown
from flexunet_exp.errors import InputError
from flexunet_exp.reporting import panels
from flexunet_exp.reporting.html import jpeg, template
from flexunet_exp.system.files import replace_file, write_table

log = logging.getLogger(__name__)

PAGE, BOARD, BOARD_TEXT, PAIRS = "compare.html", "leaderboard.csv", "leaderboard.md", "pairs.csv"


def write(comparison: Comparison, folder: Path, files: Files, images: int) -> None:
    """Writes all files into `folder`, each in one step."""
    write_table(folder / BOARD, tables.all_leaderboards(comparison))
    write_table(folder / PAIRS, tables.all_pairs(comparison))
    replace_file(folder / BOARD_TEXT, markdown(comparison).encode())
    sheets = [
        draw_sheet(one, number, folder, files, images)
        for number, one in enumerate(comparison.groups, start=1)
    ]
    replace_file(folder / PAGE, html(comparison, sheets).encode())


class Sheet(NamedTuple):
    """A contact sheet of the page; if it cannot be drawn, `problems` say why."""

    address: str = ""  # a `data:` address that contains the picture
    words: str = ""
    problems: Sequence[str] = ()


def draw_sheet(one: Judged, number: int, folder: Path, files: Files, images: int) -> Sheet:
    columns = [
        contact_sheet.Column(f"#{place + 1} {one.label(place)}", evidence)
        for place, evidence in one.leaders.items()
    ]
    if not columns:
        missing = "No leader has its files in the store, so no pictures are shown."
        return Sheet(problems=[missing])
    try:
        drawn, captions, problems = contact_sheet.draw(columns, files, images)
    except InputError as error:
        log.warning("No contact sheet of %s: %s", one.group.name, error)
        return Sheet(problems=error.problems)
    for problem in problems:
        log.warning("%s", problem)
    name = "contact_sheet.png" if number == 1 else f"contact_sheet{number}.png"
    panels.write_png(folder / name, drawn)
    return Sheet(jpeg(Image.fromarray(np.ascontiguousarray(drawn))), captions, problems)


def html(comparison: Comparison, sheets: Sequence[Sheet]) -> str:
    wide = tables.across(comparison)
    return template("compare.html").render(
        comparison=comparison,
        groups=[
            {
                "name": one.group.name,
                "sentences": list(sentences.sentences(one, comparison)),
                "command": one.group.cells[0].command(comparison.where),
                "leaderboard": sentences.shown_leaderboard(one, comparison, settings_shown(one)),
                "classes": sentences.shown_classes(one, comparison),
                "pairs": sentences.shown_pairs(one) if one.pairs else None,
                "effects": shown_effects(one, comparison),
                "charts": drawn_charts(one, comparison, number),
                "sheet": drawn,
            }
            for number, (one, drawn) in enumerate(zip(comparison.groups, sheets, strict=True))
        ],
        across=None if wide.empty else sentences.shown_frame(wide.reset_index()),
        left_out=[(trial.name, trial.run_id, why) for trial, why in comparison.left_out],
        plotly=charts.script(),
    )


def settings_shown(one: Judged) -> list[str]:
    """The varying settings, one column each; the cell's label if none varies."""
    return one.group.varying or ["cell"]


def shown_effects(one: Judged, comparison: Comparison) -> Shown | None:
    table = tables.effects(one, comparison.metric, comparison.twin)
    return None if table.empty else sentences.shown_frame(table.drop(columns="group"))


def drawn_charts(one: Judged, comparison: Comparison, number: int) -> list[tuple[str, str]]:
    """Title and HTML of each chart that has data."""
    drawn = {
        "Settings and scores": charts.parallel(one, comparison),
        "Score against cost": charts.cost(one, comparison),
    }
    return [
        (title, charts.html(figure, f"chart{number}_{place}"))
        for place, (title, figure) in enumerate(drawn.items())
        if figure is not None
    ]


def markdown(comparison: Comparison) -> str:
    parts = [inline(f"# {comparison.title}, by {comparison.metric}")]
    for one in comparison.groups:
        parts.append(inline(f"## {one.group.name}"))
        parts += map(inline, sentences.sentences(one, comparison))
        parts.append(f"```bash\n{one.group.cells[0].command(comparison.where)}\n```")
        parts.append(
            markdown_table(sentences.shown_leaderboard(one, comparison, settings_shown(one)))
        )
        parts.append(markdown_table(sentences.shown_classes(one, comparison)))
        if one.pairs:
            parts.append(markdown_table(sentences.shown_pairs(one)))
    if not (wide := tables.across(comparison)).empty:
        parts.append(markdown_table(sentences.shown_frame(wide.reset_index())))
    parts += map(inline, comparison.notes)
    parts += [
        inline(f"Left out: {one.name} ({one.run_id}), {why}") for one, why in comparison.left_out
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(shown: Shown) -> str:
    rows = zip(*(texts for _, texts, _ in shown), strict=True)
    lines = [[header for header, _, _ in shown], ["---"] * len(shown), *rows]
    escaped = ([inline(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def inline(text: str) -> str:
    """A text of the store on one line, escaped so that Markdown makes no tags of it."""
    return escape(" ".join(text.splitlines()), quote=False)
