"""The hash of the code that decides what a training gives: the loop and its system, and what they import."""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from components.storage.files import sha256_json

_ROOT = Path(__file__).parents[2]
_DECISIVE = ("networks", "objectives", "samples", "shards", "systems", "tasks", "training")
# It only lists the systems: a new one changes no other's training.
_REGISTRY = "components.systems"


@cache
def code_sha256(system: str, root: Path = _ROOT) -> str:
    """The hash of the import closure of a system's module and of the training loop, without docstrings and comments.

    Only the packages of components whose code can move a weight count. A new system or a better sentence changes no
    hash; a changed number in anything that a run imports does.

    Args:
        system: the dotted name of the module that builds the system.
        root: the folder that `components` lies in.
    """
    closure = import_closure(["components.training.loop", system], root)
    return sha256_json({name: _stripped_sha256(path) for name, path in closure.items()})


def import_closure(modules: list[str], root: Path = _ROOT) -> dict[str, Path]:
    """The decisive modules that some modules import, directly or not, and those modules, by their dotted names."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file(name, root)
        if path is None or name in found or name == _REGISTRY or name.split(".")[1] not in _DECISIVE:
            continue
        found[name] = path
        waiting += _imported(path)
    return dict(sorted(found.items()))


def _file(name: str, root: Path) -> Path | None:
    """The file of a module of components; None of anything else, such as a name that is imported from a module."""
    place = root.joinpath(*name.split("."))
    if not name.startswith("components."):
        return None
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _imported(path: Path) -> Iterator[str]:
    """Every module that a file may import, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _stripped_sha256(path: Path) -> str:
    """The hash of a file's lines without docstrings, comments and blank lines; the same for every Python."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            assert node.end_lineno is not None
            first, last = lines[node.lineno - 1].encode(), lines[node.end_lineno - 1].encode()
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
            lines[node.lineno - 1] = (first[: node.col_offset] + last[node.end_col_offset :]).decode()
    kept = [line.rstrip() for line in lines if line.strip()]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()
