"""Prints a decision on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from flexunet_exp.decisions.file import Decision
from flexunet_exp.reporting import decision_words as words
from flexunet_exp.reporting.text import plain_table, terminal


def show(decision: Decision, console: Console | None = None) -> None:
    """The rule, what to expect of it, and what test showed."""
    console = console or terminal()
    table = plain_table(f"Decision {decision.describe()}", "figure")
    confidence = f"{decision.wanted['confidence']:.0%}"
    headers = ["goal", decision.data["part"], f"{confidence}\ninterval", "parts"]
    headers += ["test\nshowed", f"{confidence}\ninterval"] if decision.test else []
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    for row in words.rows(decision):
        table.add_row(*map(Text, row[: len(headers) + 1]))
    console.print(table)
    said = (words.cost_sentence(decision), words.kind_sentence(decision))
    for sentence in filter(None, (*words.rule_sentences(decision.rules), *said)):
        console.print(Text(sentence))
    console.print()
