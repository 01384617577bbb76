"""Who may use MLflow's client: the folder tracking/ alone."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.conftest import ROOT

TRACKING = ROOT / "flexunet_exp" / "tracking"


def uses_client(path: Path) -> bool:
    """Whether a file takes a store's client; Python's own http.client is another thing."""
    nodes = ast.walk(ast.parse(path.read_text()))
    taken = (node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "client")
    return any(ast.unparse(node.value) != "http" for node in taken)


def test_no_client_leaves_the_folder_tracking():
    files = [
        path
        for folder in ("flexunet_exp", "hydra_plugins", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if TRACKING not in path.parents
    ]
    assert len(files) > 100 and not [path for path in files if uses_client(path)]
