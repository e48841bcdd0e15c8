"""Experiments of DVC, in the work tree and in temporary ones: what they register stays, and is what they trained."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.review.review import find_state
from components.tracking.store import Store, open_store
from tests.review.helpers import MLFLOW_WARNS
from tests.test_graph import Project, start

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]  # about three minutes: some forty stages


class Versioned(Project):
    """A project under git, as experiments need it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    autostage = true\n")
        (folder / ".gitignore").write_text("__pycache__/\n.pix2pipe/\n/data/*\n!/data/study/\npictures/\n")
        self.set("fetch.path", str(folder / "pictures"))
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.email", "a@b")
        self.git("config", "user.name", "a")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "all")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(("git", *arguments), cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
        return output

    def store(self) -> Store:
        home = self.folder / ".pix2pipe"
        return open_store(f"sqlite:///{home}/mlflow.db", home, "pix2pipe", make=False)

    def registered(self) -> dict[str, Any]:
        """What version.json says, which must be what the registry has."""
        made = json.loads((self.folder / "data/registered/version.json").read_text())["versions"]["labels_to_photo"]
        versions = {version.number: version for version in find_state(self.store(), "tiny").versions}
        assert versions[made["version"]].tags["key"] == made["key"]
        assert versions[made["version"]].tags["weights_sha256"] == made["weights_sha256"]
        run = json.loads((self.folder / "data/runs/run.json").read_text())
        assert run["key"] == made["key"]
        assert (self.folder / ".pix2pipe/runs" / made["key"] / "checkpoints").is_dir()
        return made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Versioned:
    project = Versioned(tmp_path_factory.mktemp("experiments"))
    project.dvc("repro")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "run")
    return project


def names(project: Versioned) -> list[str]:
    return project.dvc("exp", "list", "--name-only").split()


@pytest.mark.promise("24 experiments of DVC, temporary and queued: what is applied has its model and its run")
def test_experiments_register_in_the_project_and_can_be_applied(project, tally):
    first = project.registered()
    tally.count(first["version"] == 1, "repro")
    project.dvc("exp", "run", "--temp", "-S", "+train.seed=1", "--name", "temporary", "register")
    for seed in (2, 3):
        project.dvc("exp", "run", "--queue", "-S", f"+train.seed={seed}", "--name", f"queued-{seed}", "register")
    # The workers of a queue are DVC's own processes, which want `dvc` on the PATH: an activated environment.
    activated = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command = [sys.executable, "-m", "dvc", "queue", "start", "--jobs", "2"]
    environment = os.environ | {"PATH": activated, "DVC_NO_ANALYTICS": "1"}
    subprocess.run(command, cwd=project.folder, env=environment, check=True, timeout=60, stdout=subprocess.DEVNULL)
    deadline = time.time() + 400
    while {"queued-2", "queued-3"} - set(names(project)):
        assert time.time() < deadline, project.dvc("queue", "status")
        time.sleep(2)
    project.dvc("queue", "stop")
    numbers = {first["version"]}
    for name in ("temporary", "queued-2", "queued-3"):
        project.git("checkout", "--quiet", "--force", "main")
        project.dvc("exp", "apply", name)
        made = project.registered()
        tally.count(made["version"] not in numbers and made["key"] != first["key"], f"{name}: {made}")
        numbers.add(made["version"])
        tally.count("Running stage" not in project.dvc("repro", "register"), f"{name}: it is not run again")
    project.dvc("exp", "branch", "temporary", "kept")
    project.git("checkout", "--quiet", "--force", "kept")
    project.dvc("checkout", "--force")
    tally.count(project.registered()["version"] in numbers, "a branch")
    project.git("checkout", "--quiet", "--force", "main")
    project.dvc("checkout", "--force")
    tally.count(project.registered() == first, "back on main")


def test_what_dvc_shows_fits_a_terminal(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert "up to date" in project.dvc("status")
    shown = project.dvc("metrics", "show")
    assert max(map(len, shown.splitlines())) <= 120, shown
    assert "fid_lite0" in shown
    assert "fid_lite0" in project.dvc("exp", "show", "--only-changed", "--no-pager")[:2000]
    assert "cell" not in project.dvc("dag")  # no cell of the papers' tables


def test_a_clone_pulls_and_registers_what_it_pulled(project, tmp_path):
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    project.dvc("remote", "add", "--default", "--force", "away", str(remote))
    project.git("commit", "--quiet", "--all", "--message", "remote")
    project.dvc("push")
    subprocess.run(("git", "clone", "--quiet", str(project.folder), str(clone)), check=True)

    def run(module: str, *arguments: str) -> tuple[int, str]:
        process = start(module, *arguments, folder=clone)
        output, _ = process.communicate(timeout=600)
        return process.returncode, output

    assert run("dvc", "pull")[0] == 0
    assert run("dvc", "checkout")[0] == 0
    status, said = run("pipelines.cli", "review")
    assert status == 1
    assert "dvc repro -f -s register" in said
    assert run("dvc", "repro", "-f", "-s", "register")[0] == 0
    status, said = run("pipelines.cli", "review")
    assert (status, "tiny" in said) == (0, True)
