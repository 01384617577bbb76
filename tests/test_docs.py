"""Pages, and messages that name pages, point to what there is; the picture shows the imports."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("docs", "conf", "flexunet_exp", "hydra_plugins", "benchmarks", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    text = CODE_BLOCK.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page):
    dead = []
    for target, anchor in LINK.findall(page.read_text()):
        there = (page.parent / target).resolve() if target else page
        is_dead = not there.exists() or (anchor and anchor not in anchors(there))
        dead += [f"{target}#{anchor}"] * bool(is_dead)
    assert not dead


def test_the_start_page_leads_to_every_page():
    start = ROOT / "docs" / "index.md"
    linked = {(start.parent / target).resolve() for target, _ in LINK.findall(start.read_text())}
    assert set(ROOT.glob("docs/**/*.md")) - {start} <= linked


def test_files_that_code_pages_and_configuration_name_exist():
    files = [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    for folder in FOLDERS:
        files += [
            path for end in ("py", "yaml", "md") for path in ROOT.glob(f"{folder}/**/*.{end}")
        ]
    named = re.compile(
        r"\b(?:docs|flexunet_exp|tests|benchmarks|conf)/[\w/]+\.(?:md|py|yaml|svg|png)\b"
    )
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        if path != Path(__file__)
        for name in named.findall(path.read_text())
        if not (ROOT / name).exists() and not is_example(name)
    }
    assert not missing


def test_the_page_of_models_lists_every_model_and_encoder():
    page = (ROOT / "docs" / "reference" / "models.md").read_text()
    names = {path.stem for path in ROOT.glob("conf/model/**/*.yaml")}
    assert {
        name for name in names if f"`{name}`" not in page and f"model={name}`" not in page
    } == set()


def is_example(name: str) -> bool:
    """Whether a file is one that the reader is to write."""
    return Path(name).stem in (
        "bolt",
        "net",
        "hinge",
        "beep",
        "mine",
        "lion",
        "narrow",
        "parts",
        "NAME",
    )


def test_the_modules_that_the_changelog_moves_code_to_exist():
    rows = re.findall(
        r"^\| `[\w.]+` \| (.+) \|$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    modules = {name for row in rows for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", row)}
    assert modules
    missing = {
        name
        for name in modules
        if not (ROOT / f"flexunet_exp/{name.replace('.', '/')}.py").exists()
    }
    assert not missing


def test_the_picture_of_the_architecture_shows_the_imports_of_today(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "docs"), *sys.path])
    import draw_architecture

    now = draw_architecture.listing(draw_architecture.imports())
    assert draw_architecture.drawn_listing() == now, "python docs/draw_architecture.py"
