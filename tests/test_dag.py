"""The graph is what the folders say: stage = file of pipelines/ = section of params.yaml = dvc.yaml."""

import ast
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import yaml

from components.cluster.upload import listed
from components.params import Params

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SECOND = yaml.safe_load((ROOT / "tables/dvc.yaml").read_text())["stages"]  # the papers' tables, docs/tables.md
for stage in (STAGES | SECOND).values():
    for kind in {"outs", "metrics"} & stage.keys():
        assert all(list(entry.values()) == [{"persist": True}] for entry in stage[kind]), stage  # DVC deletes nothing
        stage[kind] = [next(iter(entry)) for entry in stage[kind]]
KEPT = {"data/study/result.json"}  # which git keeps, since no stage can make it
ORDER = ["fetch", "shard", "judge", "tune", "train", "generate", "evaluate", "register", "report"]


def test_stages_are_the_files_of_pipelines():
    files = {path.stem for path in (ROOT / "pipelines").glob("*.py")} - {"__init__", "cli"}
    assert list(STAGES) == ORDER
    assert list(SECOND) == ["cell", "tables"]
    assert files == set(ORDER) | set(SECOND)


def test_sections_of_params_are_the_stages_system_and_review():
    sections = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    assert sections == set(ORDER) | {"system", "review"}
    assert {field.alias or name for name, field in Params.model_fields.items()} == sections


def test_each_stage_runs_its_file_and_depends_on_it_and_its_params():
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"sh pipelines/run {name}"
        assert f"pipelines/{name}.py" in stage["deps"]
        more = {
            "train": ["system"],
            "tune": ["system", "train", "generate", "evaluate"],  # a trial is all of these
            "register": ["review"],
        }
        assert sorted(stage["params"]) == sorted([name, *more.get(name, [])])


def test_the_second_graph_is_a_project_of_its_own_that_runs_its_files_from_the_projects_folder():
    assert (ROOT / "tables/.dvc/config").is_file()
    assert (ROOT / "tables/.dvcignore").read_text() == (ROOT / ".dvcignore").read_text()
    for name, stage in SECOND.items():
        assert stage["cmd"].startswith(f"cd .. && sh pipelines/run {name}")
        assert all(out.startswith("data/") for out in stage["outs"])
        for dep in stage["deps"]:
            assert "data/" in dep or (ROOT / "tables" / dep).exists(), dep
        assert list(stage["params"][0]) == ["params.yaml"]


def test_every_output_is_data_and_every_data_dependency_is_an_earlier_output():
    made: set[str] = set()
    for stage in STAGES.values():
        outs = [*stage.get("outs", []), *stage.get("metrics", [])]
        assert all(out.startswith("data/") for out in outs)
        for dep in stage["deps"]:
            if dep in KEPT:
                assert (ROOT / dep).is_file()
            elif dep.startswith("data/"):
                assert any(out == dep or out.startswith(f"{dep}/") for out in made), dep
            else:
                assert (ROOT / dep).exists(), dep
        made |= set(outs)


def test_the_readme_of_data_names_each_folder_and_the_stage_that_writes_it():
    rows = re.findall(r"^\| `(\w+)/` \| (\w+) \|", (ROOT / "data/README.md").read_text(encoding="utf-8"), re.MULTILINE)
    outs = [(out.split("/")[1], name) for name, stage in STAGES.items() for out in stage.get("outs", [])]
    assert rows == list(dict.fromkeys(outs))


def test_git_keeps_of_data_what_no_stage_makes_and_nothing_else():
    def ignored(name: str) -> bool:
        asked = ["git", "check-ignore", "--quiet", "--no-index", name]
        return subprocess.run(asked, cwd=ROOT, check=False).returncode == 0

    assert not ignored("data/README.md")
    assert not any(map(ignored, KEPT))
    assert all(ignored(out) for stage in STAGES.values() for out in stage.get("outs", []))
    assert all(ignored(f"tables/{out}") for stage in SECOND.values() for out in stage["outs"])
    sent = {path.relative_to(ROOT).as_posix() for path in listed(ROOT)}
    assert {name for name in sent if name.startswith("data/")} == KEPT  # what a job is sent of it


def test_each_stage_has_one_main_with_a_sentence_and_no_more_than_eighty_lines():
    for name in [*ORDER, *SECOND]:
        text = (ROOT / "pipelines" / f"{name}.py").read_text()
        tree = ast.parse(text)
        mains = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "main"]
        assert len(mains) == 1
        assert ast.get_docstring(mains[0])
        assert ast.get_docstring(tree).startswith(f"{name}: ")
        assert len(text.splitlines()) <= 80, name


def test_a_stage_reads_no_data_that_the_graph_does_not_give_it():
    """Every data/ path written in a stage's file is one of its dependencies or outputs."""
    for name, stage in (STAGES | SECOND).items():
        declared = [*stage["deps"], *stage.get("outs", []), *stage.get("metrics", [])]
        if name in SECOND:  # by the way from the folder in which they run
            declared = [f"tables/{place}".removeprefix("tables/../") for place in declared]
        tree = ast.parse((ROOT / "pipelines" / f"{name}.py").read_text())
        texts = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for place in (text for text in texts if text.startswith(("data/", "tables/data/"))):
            assert any(d.startswith(place) or place.startswith(d) for d in declared), (name, place)


def dag(*arguments: str) -> str:
    """What `dvc dag` prints."""
    command = [sys.executable, "-m", "dvc", "dag", *arguments]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_graph_up_to_evaluate_is_drawn_within_a_terminal():
    drawn = dag("evaluate")
    assert [name for name in ORDER if f"| {name} |" in drawn] == ORDER[: ORDER.index("evaluate") + 1]
    assert max(map(len, drawn.splitlines())) <= 120


def test_the_picture_of_the_readme_has_true_edges_and_leaves_out_only_what_follows_from_them():
    drawn = dag("--mermaid")
    names = dict(re.findall(r'(node\d+)\["(\w+)"\]', drawn))
    true = {(names[a], names[b]) for a, b in re.findall(r"(node\d+)-->(node\d+)", drawn)}
    picture = re.search(r"```mermaid\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert picture is not None
    chains = [line.split(" --> ") for line in picture[1].splitlines() if "-->" in line]
    shown = {(a.strip(), b.strip()) for chain in chains for a, b in pairwise(chain)}
    assert shown <= true
    assert reached(shown) == reached(true)


def reached(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Every pair of which the second follows from the first, at once or through others."""
    while further := {(a, d) for a, b in edges for c, d in edges if b == c} - edges:
        edges = edges | further
    return edges
