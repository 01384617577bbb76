"""A comparison on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexunet_exp.commands.compare import sentences, tables
from flexunet_exp.commands.compare.comparison import Comparison
from flexunet_exp.commands.compare.sentences import Shown
from flexunet_exp.reporting.text import plain_table, terminal

MOST_ROWS = 20  # of a leaderboard; the files have all
MOST_LEFT_OUT = 10


def show(comparison: Comparison, console: Console | None = None) -> None:
    """Prints leaderboards, what they mean, and what is left out."""
    console = console or terminal()
    for one in comparison.groups:
        name, number = one.group.name, len(one.group.cells)
        title = f"{name}: {number} cells by {comparison.metric}"
        console.print(table(title, sentences.shown_leaderboard(one, comparison, ["cell"])))
        if number > MOST_ROWS:
            console.print(Text(f"  … and {number - MOST_ROWS} more in leaderboard.csv"))
        by_class = sentences.shown_classes(one, comparison)
        console.print(table(f"{name}: Dice per class, test", by_class))
        for sentence in sentences.sentences(one, comparison):
            console.print(Text(sentence))
        command = one.group.cells[0].command(comparison.where)
        console.print(f"Repeat it: {command}\n", markup=False, highlight=False, soft_wrap=True)
    if not (wide := tables.across(comparison)).empty:
        shown = sentences.shown_frame(wide.reset_index())
        console.print(table(f"{comparison.twin} of every recipe in every group", shown))
    for note in comparison.notes:
        console.print(Text(note))
    show_left_out(comparison, console)


def show_left_out(comparison: Comparison, console: Console) -> None:
    if not comparison.left_out:
        return
    console.print(f"Left out, {len(comparison.left_out)} runs:")
    for trial, why in comparison.left_out[:MOST_LEFT_OUT]:
        first = why.splitlines()[0][:200]
        console.print(Text(f"  {trial.name} ({trial.run_id[:8]}) {first}"))
    if len(comparison.left_out) > MOST_LEFT_OUT:
        console.print("  … all of them are in compare.html")


def table(title: str, shown: Shown) -> Table:
    """The first rows; figures to the right, texts to the left and folded where they are long."""
    (first, *_), *others = shown
    drawn = plain_table(title, first)
    for header, column, _ in others:
        is_figure = all(text[:1] in "0123456789–" for text in column)
        drawn.add_column(
            header,
            justify="right" if is_figure else "left",
            overflow="fold",
            no_wrap=is_figure,
        )
    for row in list(zip(*(column for _, column, _ in shown), strict=True))[:MOST_ROWS]:
        drawn.add_row(*map(Text, row))
    return drawn
