"""The data card on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flexunet_exp.config.compose import size_text
from flexunet_exp.data.card import Card
from flexunet_exp.reporting.text import plain_table, terminal

MOST = 8  # files, colours and pairs shown; the page and card.json have more


def show(card: Card, console: Console | None = None) -> None:
    """Prints the card without its errors, which the command raises at its end."""
    console = console or terminal()
    for table in (counts_table(card), defects_table(card)):
        console.print(table)
    for line in lines(card):
        console.print(Text(line))
    for number, warning in enumerate(card["warnings"], start=1):
        console.print(Text(f"\nWarning {number}. {warning}"))


def show_mends(card: Card, console: Console | None = None) -> None:
    """Prints the lines of yaml that would mend what was found, if there are any."""
    if card["mends"]:
        console = console or terminal()
        console.print(Text("\nThese lines, in a yaml of your own or as options, would mend it:\n"))
        console.print(Text("\n".join(card["mends"])))


def counts_table(card: Card) -> Table:
    table = plain_table("Images / sources / variants, and pixels", "class")
    parts = list(card["counts"]["all"])  # the last one is "all"
    for split in parts[:-1]:
        table.add_column(split, justify="right", no_wrap=True)
    table.add_column("all", justify="right", no_wrap=True)
    table.add_column("pixels %", justify="right", no_wrap=True)
    shares = card["pixel_shares"].get("all", {})
    for label, of_label in card["counts"].items():
        cells = [counts_text(of_label[split]) for split in parts]
        table.add_row(Text(label), *cells, percent(shares[label]) if label in shares else "")
    return table


def counts_text(count: dict[str, int]) -> str:
    parts = [count[name] for name in ("images", "sources", "variants")]
    return " / ".join(map(str, parts)) if parts[0] else "–"


def defects_table(card: Card) -> Table:
    table = plain_table(f"Defects: connected pixels, and {seeing(card)}", "class")
    headers = ("defects", "area\nmin", "\nmedian", "\nmax", "median\nbox", "smallest\nresized")
    for header in (
        *headers,
        f"below\n{card['enough_pixels']} px",
        "gone",
        f"kept at\n{sizing(card)}",
    ):
        table.add_column(header, justify="right", no_wrap=True)
    for name, of_class in card["defects"].items():
        area, box, smallest = of_class["area"], of_class["box"], of_class["smallest"]
        table.add_row(
            Text(name),
            str(of_class["number"]),
            *(f"{area[key]:,.0f}" for key in ("min", "median", "max")),
            f"{box['width']}x{box['height']}",
            f"{smallest['resized']}",
            str(of_class["lost"]),
            str(of_class["vanished"]),
            size_text(of_class["keeping_size"]),
        )
    return table


def seeing(card: Card) -> str:
    """How large the network sees the defects, in words."""
    size, patch = size_text(card["image_size"]), card["patch_size"]
    if patch is None:
        return f"after resizing to {size}"
    return f"in patches of {size_text(patch)} seen at {size}"


def sizing(card: Card) -> str:
    """The option that decides how large the network sees the defects."""
    return "patch.size" if card["patch_size"] else "image_size"


def lines(card: Card) -> Iterator[str]:
    odd, leaks = card["off_palette"], card["leakage"]
    yield from card["notes"]
    for what, number in card["normalised"].items():
        yield f"Accepted: {number} pictures {what}."
    yield (
        f"Off the palette: {odd['pixels']:,} mask pixels ({percent(odd['share'])} %) in "
        f"{len(odd['files'])} of {odd['masks']} masks."
    )
    for file, of_file in list(odd["files"].items())[:MOST]:
        yield f"  {of_file['pixels']:>7,}  {percent(of_file['share']):>6} %  {file}"
    if found := odd["colours"]["most_frequent"]:
        shown = [f"({colour}): {one['pixels']:,}" for colour, one in list(found.items())[:MOST]]
        yield f"  {odd['colours']['number']} such colours, most frequent {', '.join(shown)}."
    yield (
        f"Leakage: {leaks['test_images_concerned']} of {leaks['test_images']} test pictures "
        f"({leaks['share']:.0%}) have a copy in train or valid; {leaks['number']} pairs."
    )
    for pair in leaks["pairs"][:MOST]:
        yield f"  {pair['first']} – {pair['second']}: {pair['why']}"


def percent(share: float) -> str:
    return f"{100 * share:.3f}"
