"""A stage of dvc.yaml depends on every package that decides its result, and on no other."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# How a stage is run and where bytes lie, which decide no result. Params come in through dvc.yaml's own `params`.
MACHINERY = {
    *("asked", "cluster", "counts", "faults", "fragment", "params", "plan", "stage", "start", "storage"),
}
# What a stage imports, and what does not decide its result, with the reason.
IMPORTED_ALONE = {
    ("train", "models"): "the settings of another stage",
    ("train", "search"): "it reads the winner, which is an output of tune",
    ("train", "evaluation"): "the search imports it beside the winner",
    ("train", "tracking"): "it watches the training and changes nothing of it",
    ("evaluate", "models"): "the cards of what was generated, which are its inputs",
    ("register", "training"): "it asks git for the commit",
    ("report", "networks"): "the types of what is evaluated",
    ("report", "objectives"): "the types of what is evaluated",
    ("report", "systems"): "the types of what is evaluated",
    **{
        (stage, "sources"): "it fetches weights, whose hash stands in components/networks"
        for stage in ("judge", "tune", "train", "generate", "evaluate", "register", "report")
    },
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def packages_of(stage: str) -> set[str]:
    """The packages of components that a stage's module imports, directly or not, but for the machinery."""
    waiting, seen = [f"pipelines.{stage}"], set()
    while waiting:
        name = waiting.pop()
        place = ROOT.joinpath(*name.split("."))
        file = next((f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()), None)
        parts = name.split(".")
        if file is None or name in seen or parts[0] not in ("components", "pipelines"):
            continue
        if len(parts) > 1 and parts[0] == "components" and parts[1] in MACHINERY:
            continue
        seen.add(name)
        waiting += imported(file)
    return {name.split(".")[1] for name in seen if name.startswith("components.")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_what_decides_its_result(stage):
    deps = STAGES[stage]["deps"]
    named = {dep.removeprefix("components/").removesuffix(".py") for dep in deps if dep.startswith("components/")}
    decisive = {package for package in packages_of(stage) if (stage, package) not in IMPORTED_ALONE}
    assert named == decisive
    assert f"pipelines/{stage}.py" in deps


def test_no_reason_is_left_that_nothing_needs():
    assert all(package in packages_of(stage) for stage, package in IMPORTED_ALONE)
