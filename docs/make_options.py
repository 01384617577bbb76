"""Writes docs/reference/options.md: python docs/make_options.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from flexunet_exp.config.compose import conf_dir
from flexunet_exp.config.options import OPTIONS, TRAIN, Option
from flexunet_exp.config.resolvers import register_resolvers
from flexunet_exp.config.rules import MISSING, lookup

HEAD = """# Options

Written by `python docs/make_options.py` from `flexunet_exp/config/options/` and `conf/`.

`flexunet COMMAND --cfg job` prints every option of a command with its value.
`flexunet train KEY=VALUE` overrides an option, `flexunet train GROUP=CHOICE` chooses a file of
`conf/GROUP`. The column *changes* says what another value can change:

- *weights*: what is trained, so it is another run
- *weights, by rounding alone*: another run of the same recipe
- *scores*: how the same weights are scored; a finished run is scored again, not trained again
- *data*: where pictures are read from; their digest, not the folder, makes another run
- *neither*: a finished run stays the one that is asked for

A row such as `model.*` stands for all arguments of the chosen file of `conf/model`.
"""
SHARED = "| option | default | meaning | changes | example |\n|---|---|---|---|---|"
OWN = "| option | default | meaning | example |\n|---|---|---|---|"


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## Choices\n", *choices(), ""]
    for title, command, rows in sections():
        settings = defaults(command)
        parts += [
            f"## {title}\n",
            OWN if rows[0].commands else SHARED,
            *(line(row, settings) for row in rows),
            "",
        ]
    return "\n".join(parts)


def sections() -> Iterator[tuple[str, str, list[Option]]]:
    """Each section's title, the command whose defaults it shows, and its rows."""
    shared = [row for row in OPTIONS if not row.commands]
    for name in dict.fromkeys(head(row) for row in shared):
        title = f"`{name}`" if name else "The run as a whole"
        yield title, TRAIN, [row for row in shared if head(row) == name]
    for command in dict.fromkeys(command for row in OPTIONS for command in row.commands):
        rows = [row for row in OPTIONS if command in row.commands]
        yield f"Only `flexunet {command}`", command, rows


def head(row: Option) -> str:
    return row.key.split(".")[0] if "." in row.key else ""


def choices() -> Iterator[str]:
    """A table of the groups of train: what each chooses between."""
    yield "| group | default | choices |\n|---|---|---|"
    listed = yaml.safe_load((conf_dir() / "train.yaml").read_text())["defaults"]
    given = [entry for entry in listed if isinstance(entry, dict)]
    chosen = {group: name for entry in given for group, name in entry.items()}
    chosen["dataset/layout"] = "mvtec"
    for group, default in chosen.items():
        names = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
        yield f"| `{group}` | {code(default)} | {', '.join(map(code, names))} |"


def defaults(command: str) -> Any:
    """The command's configuration, interpolations as they are written."""
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        composed = OmegaConf.to_container(compose(command), resolve=False)
    file = yaml.safe_load((conf_dir() / f"{command}.yaml").read_text())
    return {**composed, "hydra": file.get("hydra", {})}


def line(row: Option, settings: Any) -> str:
    default = lookup(settings, row.key)
    shown = "" if row.is_group or default is MISSING else code(short(default))
    example = row.example or (f"{row.key}={row.rule.example}" if row.rule else "")
    changes = [] if row.commands else [row.changes.value]
    cells = [code(row.key), shown, row.meaning, *changes, code(example) if example else ""]
    return f"| {' | '.join(cells)} |"


def short(value: Any) -> str:
    """A default as it is typed; a list of many lines as their number."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        return f"{len(value)} of them"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def code(text: Any) -> str:
    shown = "null" if text is None else str(text).replace("|", "\\|")
    return f"`{shown}`"


if __name__ == "__main__":
    (Path(__file__).parent / "reference" / "options.md").write_text(page())
