"""`python instrumented.py FILE train …`: a flexunet command that lists the code that ran.

FILE gets a line a definition, `module name`: every function of the package that was called, in any
thread, by the top-level definition it lies in.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import sys
from pathlib import Path

PACKAGE = "flexunet_exp"
RAN: set[tuple[str, str]] = set()


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module so that its functions record that they ran."""

    def get_code(self, fullname: str):
        path = self.get_filename(fullname)
        tree = ast.parse(Path(path).read_bytes())
        for top in tree.body:
            for node in ast.walk(top):
                if isinstance(node, ast.FunctionDef):
                    note = f"__import__('sys').__ran__(({fullname!r}, {top.name!r}))"
                    is_documented = ast.get_docstring(node) is not None
                    node.body[is_documented:is_documented] = ast.parse(note).body
        return compile(ast.fix_missing_locations(tree), path, "exec")


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path=None, target=None):
        if fullname.split(".")[0] != PACKAGE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Loader(fullname, spec.loader.path)
        return spec


def main() -> int:
    file, *arguments = sys.argv[1:]
    sys.__ran__ = RAN.add  # type: ignore[attr-defined]
    sys.meta_path.insert(0, Finder())
    from flexunet_exp import cli

    status = cli.main(arguments)
    lines = sorted(f"{module.removeprefix(f'{PACKAGE}.')} {name}\n" for module, name in RAN)
    Path(file).write_text("".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
