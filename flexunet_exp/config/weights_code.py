"""Which code of the package can change the trained weights, and a digest of it.

The code is read as syntax trees, never imported. A definition counts when a training reaches it
from `ENTRIES` or from a `_target_` of its configuration, by name. What is written for a person is
left out: docstrings, comments, log lines, the arguments of raised errors, type hints. So is every
module of `EXCLUDED`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = "flexunet_exp"

# Where a training begins, as MODULE.DEFINITION within the package.
ENTRIES = (
    "data.dataset.load",
    "training.precision.resolve",
    "system.tensorflow.prepare",
    "training.fit.compiled_model",
    "training.fit.fit",
    "training.starting.take_over",
)

# Modules, with all below them, that cannot change the weights, and why. A new module counts until
# it is named here. tests/config/test_weights_code.py shows that a training takes nothing from them
# but what it lists with a reason.
EXCLUDED = {
    "cli": "calls commands",
    "api": "uses trained networks",
    "commands": "surround a training",
    "jobs": "surround a training",
    "sweeps": "start trainings",
    "tracking": "records a training",
    "runs": "says where a run lies and how it ended",
    "evaluation": "scores weights; it has a signature of its own",
    "scores": "scores weights",
    "decisions": "uses trained networks",
    "prediction": "predicts with weights",
    "reporting": "draws and prints",
    "errors": "what a person reads",
    "config.validation": "accepts or refuses a configuration",
    "config.rules": "accepts or refuses a configuration",
    "config.options": "says what options mean",
    "callbacks.rules": "accepts or refuses arguments",
    "data.protocol_splits_rules": "accepts or refuses arguments",
    "data.splits_rules": "accepts or refuses arguments",
    "losses.rules": "accepts or refuses arguments",
    "models.arguments": "accepts or refuses arguments",
    "models.attention_unet_rules": "accepts or refuses arguments",
    "models.deeplabv3plus_rules": "accepts or refuses arguments",
    "models.flexunet_rules": "accepts or refuses arguments",
    "models.multiresunet_rules": "accepts or refuses arguments",
    "models.segformer_rules": "accepts or refuses arguments",
    "models.sharpunet_rules": "accepts or refuses arguments",
    "models.swin_unet_rules": "accepts or refuses arguments",
    "models.transunet_rules": "accepts or refuses arguments",
    "models.u2net_rules": "accepts or refuses arguments",
    "models.unet3plus_rules": "accepts or refuses arguments",
    "models.unet_rules": "accepts or refuses arguments",
    "config.own_conf": "is seen in the composed configuration",
    "config.overrides": "takes words of the command line apart",
    "config.resolvers": "is seen in the composed configuration",
    "config.identity": "hashes",
    "config.weights_code": "hashes",
    "config.kept_digests": "hashes",
    "data.card": "describes data",
    "data.defects": "describes data",
    "data.fingerprints": "describes data",
    "data.leakage": "describes data",
    "models.activations": "describes a network",
    "models.summary": "describes a network",
    "system.collection": "collects garbage",
    "system.imports": "imports TensorFlow",
    "system.interrupt": "ends a training",
    "system.memory": "measures memory",
    "system.progress": "prints",
    "training.batch_size": "chooses a number that counts in the configuration",
    "training.memory": "predicts and prints",
}


class Definition(NamedTuple):
    """A function, class or name at the top of a module; the name "" is all other statements."""

    module: str  # within the package
    name: str


class Reference(NamedTuple):
    """A use of a module's definition; of the whole module where `name` is empty."""

    module: str
    name: str
    node: ast.AST


class Module:
    """A module's definitions and imports, from its source."""

    def __init__(self, root: Path, name: str):
        self.name, self.root = name, root
        self.path = source_path(root, name)
        tree = edited(ast.parse(self.path.read_bytes()), without_sentences)
        self.nodes: dict[str, list[ast.stmt]] = {"": []}
        for node in tree.body:
            for defined in names_defined(node):
                self.nodes.setdefault(defined, []).append(node)
        self.imports = dict(imported(root, tree.body))
        self.known_references: dict[str, list[Reference]] = {}
        self.dumps: dict[str, str] = {}

    def references(self, name: str) -> list[Reference]:
        """What of the package a definition refers to, its type hints included."""
        if name not in self.known_references:
            self.known_references[name] = list(self.found(name))
        return self.known_references[name]

    def dumped(self, name: str) -> str:
        """A definition as text, without its type hints."""
        if name not in self.dumps:
            self.references(name)  # before the hints are gone
            stripped = [edited(node, without_hints) for node in self.nodes[name]]
            self.dumps[name] = "\n".join(map(ast.dump, stripped))
        return self.dumps[name]

    def found(self, name: str) -> Iterator[Reference]:
        for node in self.nodes[name]:
            children = list(ast.walk(node))
            bound = self.imports | dict(imported(self.root, children))
            attributes = {id(c.value): c for c in children if isinstance(c, ast.Attribute)}
            for child in children:
                if not isinstance(child, ast.Name):
                    continue
                if child.id in bound:
                    yield of_import(bound[child.id], child, attributes.get(id(child)))
                elif child.id in self.nodes and child.id != name:
                    yield Reference(self.name, child.id, child)


BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # of statements, in a statement


def edited(node: Any, edit: Callable[[ast.AST], ast.AST]) -> Any:
    """A statement, or a module, with every statement within it edited, the innermost first."""
    for block in BLOCKS:
        if isinstance(within := getattr(node, block, None), list):
            setattr(node, block, [edited(child, edit) for child in within])
    return edit(node)


def without_sentences(node: ast.AST) -> ast.AST:
    """Without what only a person reads: docstrings, log lines, the arguments of raised errors."""
    if isinstance(node, ast.Expr) and (is_text(node.value) or is_log_call(node.value)):
        return ast.Pass()
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=raised, cause=None)
    return node


def without_hints(node: ast.AST) -> ast.AST:
    """Without type hints: they name the classes of arguments, and do not change the weights."""
    if isinstance(node, ast.FunctionDef):
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
    if isinstance(node, ast.AnnAssign):
        node.annotation = ast.Constant(value=None)
    return node


def digest(root: Path, targets: Iterable[str]) -> str:
    """Hash of the code below `root`, the package's folder, that can change the weights.

    `targets` are the configuration's `_target_`s; those of other packages are ignored.
    """
    code = hashlib.sha256()
    for text in sorted(module(root, m).dumped(name) for m, name in reached(root, targets)):
        code.update(text.encode() + b"\0")
    return code.hexdigest()


def digests(root: Path, targets: Iterable[str]) -> dict[str, str]:
    """The same by module: a hash of what a training of these `_target_`s reaches in each."""
    found: dict[str, list[str]] = {}
    for name, definition in reached(root, targets):
        found.setdefault(name, []).append(module(root, name).dumped(definition))
    joined = {name or PACKAGE: "\0".join(sorted(texts)) for name, texts in sorted(found.items())}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in joined.items()}


def file_digest(path: Path) -> str:
    """Hash of a Python file, without what only a person reads."""
    return code_digest(path.read_bytes())


@lru_cache(512)
def code_digest(source: bytes) -> str:
    tree = edited(ast.parse(source), without_sentences)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def reached(root: Path, targets: Iterable[str]) -> set[Definition]:
    """The definitions that a training of these `_target_`s reaches."""
    starts = [*ENTRIES, *(t.removeprefix(f"{PACKAGE}.") for t in targets if is_ours(t))]
    waiting = [found for start in starts for found in resolve(root, *start.rpartition(".")[::2])]
    known: set[Definition] = set()
    while waiting:
        if (definition := waiting.pop()) in known:
            continue
        known |= {definition, Definition(definition.module, "")}
        for name in (definition.name, ""):
            for found in module(root, definition.module).references(name):
                waiting += resolve(root, found.module, found.name)
    return known


def resolve(root: Path, module_name: str, name: str) -> list[Definition]:
    """Where a name of a module is defined; all definitions of the module for an empty name."""
    if is_excluded(module_name):
        return []
    found = module(root, module_name)
    if not name:
        return [Definition(module_name, each) for each in found.nodes]
    if name in found.nodes:
        return [Definition(module_name, name)]
    if name in found.imports:
        return resolve(root, *found.imports[name])
    return []


@cache
def module(root: Path, name: str) -> Module:
    return Module(root, name)


def imported(root: Path, nodes: Iterable[ast.AST]) -> Iterator[tuple[str, Definition]]:
    """What import statements bind of the package: name → definition, or module with no name."""
    for node in nodes:
        if not isinstance(node, ast.ImportFrom) or not is_ours(f"{node.module}."):
            continue
        within = (node.module or "").removeprefix(PACKAGE).lstrip(".")
        for alias in node.names:
            below = f"{within}.{alias.name}".lstrip(".")
            target = (
                Definition(below, "") if is_module(root, below) else Definition(within, alias.name)
            )
            yield alias.asname or alias.name, target


def of_import(target: Definition, name: ast.Name, attribute: ast.Attribute | None) -> Reference:
    """A use of an imported name: of a module's attribute where one is taken from it."""
    if target.name or attribute is None:
        return Reference(*target, name)
    return Reference(target.module, attribute.attr, attribute)


def names_defined(node: ast.stmt) -> list[str]:
    """The names that a top-level statement defines; "" for a statement that defines none."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass) or is_type_checking(node):
        return []
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        return [name for name in names if name != "__all__"]
    return [""]


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and is_name(node.test, "TYPE_CHECKING")


def is_log_call(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return is_name(node.func.value, "log")


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def is_ours(target: str) -> bool:
    return target.startswith(f"{PACKAGE}.")


def is_excluded(module_name: str) -> bool:
    return any(f"{module_name}.".startswith(f"{excluded}.") for excluded in EXCLUDED)


def source_path(root: Path, name: str) -> Path:
    base = root.joinpath(*name.split(".")) if name else root
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def is_module(root: Path, name: str) -> bool:
    return source_path(root, name).is_file()
