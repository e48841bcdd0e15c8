"""Nothing that a person has put anywhere is deleted: not among outputs of the graph, and not through them."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from components.faults import Fault
from components.params import Params, _models
from components.samples.schema import user_paths
from components.storage import outputs
from components.storage.outputs import (
    RECORDS,
    refuse_inputs_among_outputs,
    refuse_what_is_no_file,
    replaced,
    stage_outputs,
)
from tests.test_graph import Project

GRAPH = {
    "stages": {
        "fetch": {"outs": [{"data/raw": {"persist": True}}]},
        "evaluate": {"outs": ["data/metrics/per_sample"], "metrics": [{"data/metrics/rows.json": {}}]},
    }
}
TABLES = {"stages": {"cells": {"outs": ["data/cells/${item.run}.json"]}, "tables": {"outs": ["data/tables"]}}}
OUT = Path("data/raw")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two graphs, to be in."""
    monkeypatch.chdir(tmp_path)
    for path, graph in zip(outputs.GRAPHS, (GRAPH, TABLES), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(graph))
    return tmp_path


def put(path: Path, text: str = "mine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sections(kind: type[BaseModel]) -> set[type[BaseModel]]:
    """A section of params, and all that may stand in it."""
    inner = [model for field in kind.model_fields.values() for model in _models(field.annotation)]
    return {kind, *(below for model in inner for below in sections(model))}


def run(*files: str, text: str = "made") -> None:
    """A stage that writes these files."""
    with replaced("fetch", [OUT]):
        assert not OUT.exists()
        for name in files:
            put(OUT / name, text)


def test_a_stage_replaces_what_it_wrote_and_refuses_all_else(project):
    run("a/1.png", "2.png")
    run("a/3.png")
    assert [path.name for path in OUT.rglob("*.png")] == ["3.png"]
    own = put(OUT / "mine/4.png")
    with pytest.raises(Fault, match=r"mine/4\.png: not written by the stage fetch"):
        run("a/3.png")
    assert own.read_text() == "mine"
    assert (OUT / "a/3.png").read_text() == "made"
    own.unlink()
    put(OUT / "a/3.png", "edited by hand")  # by its name it is the stage's, by its size it is not
    with pytest.raises(Fault, match=r"a/3\.png"):
        run("a/3.png")
    assert (OUT / "a/3.png").read_text() == "edited by hand"


def test_what_a_killed_stage_left_is_moved_aside(project):
    run("1.png")
    killed = replaced("fetch", [OUT])
    killed.__enter__()
    put(OUT / "half.png")
    run("1.png")
    assert [path.name for path in OUT.rglob("*.png")] == ["1.png"]
    assert [path.read_text() for path in outputs.ASIDE.glob(f"fetch-*/{OUT}/half.png")] == ["mine"]


def test_what_was_there_before_a_killed_stage_began_is_not_its_own(project):
    own = put(OUT / "own.png")
    time.sleep(0.02)
    with pytest.raises(Fault, match=r"own\.png"), replaced("fetch", [OUT]):
        raise AssertionError
    with pytest.raises(Fault, match=r"own\.png"):
        run("1.png")
    assert own.exists()


def test_outputs_that_dvc_brought_are_the_stages_own(project):
    made = put(OUT / "1.png", "made")
    md5, listing = outputs._md5(made), project / "elsewhere/files/md5/12/34.dir"
    put(project / ".dvc/config", f"[core]\n    no_scm = true\n[cache]\n    dir = {project}/elsewhere\n")
    put(listing, f'[{{"md5": "{md5}", "relpath": "1.png"}}, {{"md5": "{md5}", "relpath": "2.png"}}]')
    put(Path("dvc.lock"), yaml.safe_dump({"stages": {"fetch": {"outs": [{"path": "data/raw", "md5": "1234.dir"}]}}}))
    run("1.png")
    put(OUT / "2.png", "edit")  # of the name and the size that DVC knows
    with pytest.raises(Fault, match=r"2\.png"):
        run("1.png")


def test_inputs_in_or_over_an_output_are_refused_also_through_links(project):
    put(Path("data/raw/mine/1.png"))
    put(Path("own/1.png"))
    Path("own/deeper").mkdir()
    Path("link").symlink_to("data/raw")
    for name in (
        "data/raw/mine",
        "data/raw",
        "data",
        ".",
        "link",
        "link/mine",
        "data/metrics/per_sample/w.pth",
        "tables/data/cells/w.pth",
        "../" + project.name,
    ):
        with pytest.raises(Fault, match=r"^fetch\.path: .*data"):
            refuse_inputs_among_outputs([("fetch.path", name)])
    refuse_inputs_among_outputs(
        [("fetch.path", name) for name in ("own", "own/1.png", "data/mine", "https://x/data/raw", "")]
    )
    Path("own/deeper/link").symlink_to(project / "tables/data/tables")
    with pytest.raises(Fault, match=r"fetch\.a\.path: own .* tables/data/tables"):
        refuse_inputs_among_outputs([("fetch.a.path", "own")])


def test_every_param_that_is_a_path_is_known(tmp_path):
    """A section that names a place by a plain str would escape the check."""

    for kind in sections(Params):
        for name, field in kind.model_fields.items():
            if name == "path" or name.endswith("_path") or field.annotation is Path:
                made = kind.model_construct(**{name: "x"}, **{key: None for key in kind.model_fields if key != name})
                assert dict(user_paths(made)) == {field.alias or name: "x"}, (kind, name)


def test_no_output_is_named_by_a_param():
    """It would stay behind when the param changes, and be refused as a person's own file when the param comes back."""
    graph = yaml.safe_load((Path(__file__).parents[1] / "dvc.yaml").read_text())
    found = {stage: stage_outputs(stage) for stage in graph["stages"]}
    assert Path("data/metrics/rows.json") in found["evaluate"]
    assert not [path for paths in found.values() for path in paths if "$" in str(path)]


def test_own_pictures_in_data_raw_survive_dvc_repro(tmp_path):
    project = Project(tmp_path)
    own = put(tmp_path / "data/raw/mine/own.png")
    tries = (
        ("data/raw/mine", "fetch.path", ("repro", "fetch")),
        ("pictures", "own.png", ("repro", "-f", "-s", "fetch")),
    )
    for path, word, arguments in tries:
        project.set("fetch.path", path)
        process = project.start(*arguments)
        output, _ = process.communicate(timeout=120)
        assert process.returncode != 0
        assert word in output
        assert "Traceback" not in output
        assert own.read_text() == "mine"
    own.rename(tmp_path / "own.png")
    for _ in range(2):
        process = project.start("repro", "-f", "fetch")
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    assert sum(path.suffix == ".png" for path in (tmp_path / "data/raw").rglob("*")) == 28
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["raw", "study"]


def test_what_went_wrong_first_is_what_is_said(project):
    """On a full disk the list of the stage's files cannot be written either."""

    def fail() -> None:
        with replaced("fetch", [OUT]):
            shutil.rmtree(RECORDS)
            RECORDS.write_text("in the way")
            raise Fault("the first")

    with pytest.raises(Fault, match="the first"):
        fail()


@pytest.mark.parametrize("place", ["data/raw/1.png", "data/shards/manifest.json", ".pix2pipe/mlflow.db", "dvc.lock"])
def test_what_is_no_file_is_refused_before_a_stage_waits_for_it(project, place):
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"shard": {"deps": ["data/raw"], "outs": ["data/shards"]}}}))
    outputs = [Path("data/shards")]
    for make in (os.mkfifo, lambda path: path.symlink_to("nowhere")):
        refuse_what_is_no_file("shard", outputs)
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        make(Path(place))
        with pytest.raises(Fault, match=re.escape(place)):
            refuse_what_is_no_file("shard", outputs)
        Path(place).unlink()
