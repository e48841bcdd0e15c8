"""What `dvc status` says after an edit of one line: the stages that the code decides have changed, and no others.

The project has the real dvc.yaml, components and params; its stages write small files in place of what they would make,
which is none of DVC's business.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.test_deps import IMPORTED_ALONE, ROOT, STAGES, packages_of

PACKAGES = sorted(path.stem for path in (ROOT / "components").iterdir() if not path.name.startswith("__"))

pytestmark = pytest.mark.slow  # half a second of DVC for each edit


def dvc(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outputs(stage: str, system: str) -> list[str]:
    """The paths that a stage of dvc.yaml writes."""
    entries = [*STAGES[stage].get("outs", []), *STAGES[stage].get("metrics", [])]
    paths = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
    return [path.replace("${system.name}", system) for path in paths]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has run."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("components", "pipelines", "data/study"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", "params.yaml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    system = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["system"]["name"]
    script = ["case $1 in"]
    for stage in STAGES:
        script.append(f"{stage})")
        for path in outputs(stage, system):
            place = path if Path(path).suffix else f"{path}/one.txt"
            script += [f"mkdir -p $(dirname {place})", f"echo {stage} >{place}"]
        script.append(";;")
    (folder / "pipelines/run").write_text("\n".join([*script, "esac", ""]))
    dvc(folder, "repro")
    return folder


def changed(folder: Path) -> dict[str, list[str]]:
    """Of each stage that `dvc status` finds changed, the dependencies that it names."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        found = repo.status()
    return {
        name.rpartition(":")[2]: [dep for part in parts for dep in part.get("changed deps", {})]
        for name, parts in found.items()
    }


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """With one line more in a file."""
    before = file.read_bytes()
    file.write_bytes(before + b"EDITED = True\n")
    try:
        yield
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_edit_changes_the_stages_that_the_package_decides(project, monkeypatch, package):
    monkeypatch.chdir(project)
    place = project / "components" / package
    file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else sorted(place.rglob("*.py"))[-1]
    with edited(file):
        found = changed(project)
    decided = {stage for stage in STAGES if package in packages_of(stage) and (stage, package) not in IMPORTED_ALONE}
    assert set(found) == decided
    assert all(deps == [f"components/{package}"] for deps in found.values())


@pytest.mark.parametrize("stage", STAGES)
def test_an_edit_of_its_own_file_changes_one_stage(project, monkeypatch, stage):
    monkeypatch.chdir(project)
    with edited(project / f"pipelines/{stage}.py"):
        found = changed(project)
    assert found == {stage: [f"pipelines/{stage}.py"]}


def test_without_an_edit_nothing_has_changed(project, monkeypatch):
    monkeypatch.chdir(project)
    assert changed(project) == {}
