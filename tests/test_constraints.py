"""constraints.txt pins every package that an installation takes, at a version that pyproject.toml allows."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
PINS = {canonicalize_name(name): Version(version) for name, version in PINNED.items()}
PYTHONS = ("3.11.0", "3.12.0")
NOT_PINNED = {"torch", "pip"}  # TORCH chooses the one; the other installs
OF_TORCH = re.compile("triton|nvidia-|cuda-")  # what a CUDA build brings along


def asked() -> list[Requirement]:
    """What pyproject.toml asks for itself, with all extras."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return [found for found in map(Requirement, lines) if found.name != PROJECT["name"]]


def required(python: str) -> set[str]:
    """All packages that come with those, by what the installed ones say they need on a Python."""
    found, todo, seen = set(), [(requirement, "") for requirement in asked()], set()
    place = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate(place | {"extra": extra}):
            continue
        found.add(name)
        try:
            needs = [Requirement(line) for line in distribution(name).requires or []]
        except PackageNotFoundError:
            needs = []
        for each in {"", *requirement.extras}:
            if (name, each) not in seen:
                seen.add((name, each))
                todo += [(need, each) for need in needs if not OF_TORCH.match(need.name)]
    return found - NOT_PINNED


def test_each_line_is_one_exact_version_and_nothing_of_a_machine() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines == sorted(set(lines), key=lambda line: canonicalize_name(line.partition("==")[0]))
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9a-z.]*", line), line
    assert not NOT_PINNED & PINS.keys()


def test_pins_are_inside_the_ranges_of_the_project() -> None:
    for requirement in asked():
        if requirement.name not in NOT_PINNED:
            assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), str(requirement)


@pytest.mark.parametrize("python", PYTHONS)
def test_nothing_that_is_installed_is_left_to_chance(python: str) -> None:
    assert sorted(required(python) - PINS.keys()) == []


def test_every_pin_takes_the_pythons_of_the_project() -> None:
    for name, version in PINS.items():
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # where not all extras are installed
            continue
        if Version(installed.version) == version and installed.metadata.get("Requires-Python"):
            pythons = Requirement(f"python{installed.metadata['Requires-Python']}").specifier
            assert all(pythons.contains(python) for python in PYTHONS), f"{name}: {pythons}"


def test_the_install_is_constrained_and_torch_is_a_choice() -> None:
    installs = [line for line in (ROOT / "Makefile").read_text().splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in line for line in installs)
    assert any('"$(TORCH)"' in line for line in installs)
