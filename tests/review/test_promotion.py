"""Promotion: who made which version the champion, by the gate, once, and on record."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from components.faults import Fault
from components.models.card import CARD, WEIGHTS
from components.review.promote import promote, rollback
from components.review.review import AGAINST, find_state
from components.shards.reader import Split
from components.tracking import promotions
from components.tracking.promotions import Promotion, append_promotion, champions, read_promotions
from components.tracking.store import open_store
from components.tracking.versions import GATE, VERDICT, find_version
from tests.review.helpers import FID, IOU, MLFLOW_WARNS, Project, mlflow_server
from tests.stage_outputs import build_outputs

pytestmark = MLFLOW_WARNS
ROOT = Path(__file__).parent.parent.parent

_PROMOTER = """
import sys, time
from pathlib import Path
from components.faults import Fault
from components.review.promote import promote
from components.tracking.store import open_store
from components.review.config import ReviewConfig
uri, home, version, name, ready, go = sys.argv[1:]
store = open_store(uri, Path(home), "tests")
Path(ready).touch()
while not Path(go).exists():
    time.sleep(0.01)
try:
    promote(store, "tiny", version, name, "a race", ReviewConfig(), Path(ready + ".files"), override=True)
except Fault as fault:
    sys.exit(str(fault))
"""


@pytest.fixture(scope="module", params=["sqlite", "server"])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path
) -> Iterator[Project]:
    """A registry with a first version, the same in both kinds of store."""
    root = build_outputs(tmp_path_factory.mktemp(request.param), tiny_shards)
    home = root / ".pix2pipe"
    if request.param == "server":
        with mlflow_server(root / "server") as address:
            yield Project(root, open_store(address, home, "tests"))
    else:
        yield Project(root, open_store(f"sqlite:///{home}/mlflow.db", home, "tests"))


def tags(project: Project, version: int) -> dict[str, str]:
    return dict(find_version(project.store, "tiny", str(version)).tags)


def do(
    project: Project, version: int | str, override: bool = False, by: str = "Ann", why: str = "clearer"
) -> Promotion:
    folder = project.root / "files"
    return promote(project.store, "tiny", str(version), by, why, project.rules, folder, override)


def test_two_reviewed_one_promoted_one_refused_one_rolled_back(project: Project, tmp_path: Path) -> None:
    """The life of a registry, from its first version on; in one test, since each step needs the one before."""
    first = project.register()
    with pytest.raises(Fault, match="tiny version 1 is not reviewed; pix2pipe review 1 does it"):
        do(project, first)
    assert find_state(project.store, "tiny").champion is None
    project.look(first)
    assert tags(project, first)[VERDICT] == "no champion yet"
    with pytest.raises(Fault, match="no champion to go back to; the record holds 0 promotions"):
        rollback(project.store, "tiny", "none", "Ann", "x", tmp_path)
    record = do(project, "candidate", why="the first")
    assert (record.number, record.before, record.after, record.overridden) == (1, None, first, False)
    with pytest.raises(Fault, match="tiny version 1 is the champion already"):
        do(project, first)

    better, worse = project.register(fid=0.8), project.register(fid=1.1)
    assert project.look(better).review.verdict.passed
    seen = project.look(worse)
    assert seen.picture is not None
    assert tags(project, better) | {VERDICT: "better", GATE: "passed", AGAINST: "1"} == tags(project, better)
    assert tags(project, worse) | {VERDICT: "worse", GATE: "failed"} == tags(project, worse)
    described = find_version(project.store, "tiny", str(worse)).description
    assert described.startswith("Worse. tiny version 3: worse than version 1, the champion; the gate is not passed.")
    for part in ("worse by 16 (", "a" * 40 + "-dirty", "ef" * 32, f"review/tiny_v{worse}.png", "| psnr | 6 | 6 |"):
        assert part in described, part
    with pytest.raises(Fault, match=rf"tiny version 3 is refused: worse \({FID}: worse by 16 .*--override"):
        do(project, worse)
    assert project.champion() == first
    with pytest.raises(Fault, match="--by is empty"):
        do(project, better, by=" ")
    with pytest.raises(Fault, match="--why is empty"):
        do(project, better, why="\n")
    assert do(project, better).before == first
    assert project.champion() == better

    # Version 3 was looked at beside version 1, which is not the champion any more.
    with pytest.raises(Fault, match=r"now it is version 2 \(promotion of version 2 by Ann at .*pix2pipe review 3"):
        do(project, worse, override=True)
    project.look(worse)
    record = do(project, worse, override=True, why="wanted all the same")
    assert (record.overridden, record.verdict, project.champion()) == (True, "worse", worse)
    model = mlflow_model(project)
    sample = Split(project.root / "data/shards", "test").picture(0, "labels")
    made = Split(project.root / "data/generated/labels_to_photo", "test").picture(0, "photo")
    assert np.array_equal(model.predict(sample[None])[0], made)

    back = rollback(project.store, "tiny", "3", "Bo", "streaks on water", tmp_path)
    assert (back.kind, back.before, back.after, project.champion()) == ("rollback", worse, better, better)
    assert rollback(project.store, "tiny", "2", "Bo", "no better", tmp_path).after == first
    with pytest.raises(Fault, match="no champion to go back to; the record holds 5 promotions"):
        rollback(project.store, "tiny", "1", "Bo", "again", tmp_path)
    records = read_promotions(project.store, "tiny")
    assert [(each.kind, each.before, each.after) for each in records] == [
        ("promotion", None, 1),
        ("promotion", 1, 2),
        ("promotion", 2, 3),
        ("rollback", 3, 2),
        ("rollback", 2, 1),
    ]
    assert records[2].weights_sha256 == tags(project, worse)["weights_sha256"]
    assert tags(project, worse)["promotion.3"].endswith("UTC by Ann")
    note = project.store.client.get_run(_record_run(project)).data.tags["mlflow.note.content"]
    assert "worse, overridden | wanted all the same |" in note


def mlflow_model(project: Project) -> "mlflow.pyfunc.PyFuncModel":
    mlflow.set_tracking_uri(project.store.uri)
    return mlflow.pyfunc.load_model("models:/tiny@champion")


def _record_run(project: Project) -> str:
    return str(project.store.client.get_registered_model("tiny").tags["pix2pipe.promotions"])


def test_a_record_cannot_be_changed_and_a_late_one_is_told_who_was_first(project: Project) -> None:
    records = read_promotions(project.store, "tiny")
    with pytest.raises(Fault, match=r"version 1 was made champion by Bo at .*, while this was going on"):
        append_promotion(project.store, "tiny", records[-1].model_copy(update={"by": "Eve", "after": 2}))
    with pytest.raises(MlflowException):
        project.store.client.log_param(_record_run(project), "0001", "{}")
    assert read_promotions(project.store, "tiny") == records
    assert project.champion() == 1


def test_of_two_processes_that_promote_at_once_one_wins(project: Project, tmp_path: Path) -> None:
    for version in (2, 3):
        project.look(version)
    before = len(read_promotions(project.store, "tiny"))
    go, promoters = tmp_path / "go", {}
    for version, name in ((2, "Ann"), (3, "Bo")):
        home, ready = project.root / ".pix2pipe", tmp_path / str(version)
        arguments = [project.store.uri, str(home), str(version), name, str(ready), str(go)]
        promoters[version] = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _PROMOTER, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    while not all((tmp_path / str(version)).exists() for version in promoters):
        assert all(promoter.poll() is None for promoter in promoters.values())
        time.sleep(0.05)
    go.touch()
    said = {version: promoter.communicate(timeout=600)[1] for version, promoter in promoters.items()}
    won = [version for version, promoter in promoters.items() if promoter.returncode == 0]
    assert len(won) == 1, said
    records = read_promotions(project.store, "tiny")
    assert len(records) == before + 1
    assert records[-1].after == won[0] == project.champion()
    lost = said[5 - won[0]].strip().splitlines()[-1]
    assert f"version {won[0]}" in lost, lost
    assert ("while this was going on" in lost) or ("was reviewed when the champion was" in lost)
    rollback(project.store, "tiny", str(won[0]), "Cy", "and again", tmp_path)


def test_a_promotion_between_its_record_and_its_alias_is_finished_and_not_undone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a rollback finds in that moment, or after a kill, it does not take for a move by other hands."""
    store, before = project.store, len(read_promotions(project.store, "tiny"))
    project.look(2)
    with monkeypatch.context() as cut:
        cut.setattr(promotions, "finish_promotion", lambda *_: None)
        do(project, 2, override=True)
    state = find_state(store, "tiny")
    assert (project.champion(), state.outside) == (1, "")
    assert "by Ann is on record and not finished" in state.notice
    with pytest.raises(Fault, match=r"the champion is version 2, by Ann at .* not version 1; nothing is rolled back"):
        rollback(store, "tiny", "1", "Cy", "saw version 1", tmp_path)
    assert project.champion() == 2
    assert find_state(store, "tiny").notice == ""
    assert [each.by for each in read_promotions(store, "tiny")[before:]] == ["Ann"]
    assert project.look(2).review.verdict.passed == (tags(project, 2)[GATE] == "passed")  # as the list says
    assert rollback(store, "tiny", "2", "Cy", "saw version 2", tmp_path).kind == "rollback"


def test_an_alias_moved_by_hand_is_seen_said_and_undone(project: Project, tmp_path: Path) -> None:
    assert project.champion() == 1
    assert find_state(project.store, "tiny").notice == ""
    project.look(2)
    MlflowClient(project.store.uri).set_registered_model_alias("tiny", "champion", "3")
    state = find_state(project.store, "tiny")
    assert "the alias champion is on version 3 and the record says version 1" in state.notice
    assert "moved outside pix2pipe" in project.look(2).review.state.notice
    with pytest.raises(Fault, match=r"on version 3 and the record says version 1.*--override puts that on record"):
        do(project, 3)
    record = do(project, 2, override=True)
    assert (record.before, record.outside) == (3, "3")
    MlflowClient(project.store.uri).delete_registered_model_alias("tiny", "champion")
    assert "on no version and the record says version 2" in find_state(project.store, "tiny").notice
    back = rollback(project.store, "tiny", "none", "Bo", "it was taken away", tmp_path)
    assert (back.kind, back.before, back.after, back.outside) == ("promotion", None, 2, "none")
    assert rollback(project.store, "tiny", "2", "Bo", "and before that", tmp_path).after == 1
    assert find_state(project.store, "tiny").notice == ""


def test_another_protocol_or_a_champion_without_its_files_is_not_comparable(project: Project) -> None:
    other = project.register(fid=0.5, seed=7, hash="12" * 32)
    verdict = project.look(other).review.verdict
    assert verdict.word == "not comparable"
    assert "measured differently (seed)" in verdict.reasons[0]
    with pytest.raises(Fault, match=r"is refused: not comparable .*seed"):
        do(project, other)


def test_what_changed_since_it_was_registered_is_refused(project: Project, tmp_path: Path) -> None:
    """By promotion, by rollback, by a review, and by MLflow's own way to load a model."""
    project.look(2)
    source = find_version(project.store, "tiny", "2").source
    found = [path.parent for path in project.root.rglob(CARD) if source.rpartition("/")[2] in str(path)]
    assert len(found) == 1, source
    for name in (WEIGHTS, CARD, "measured.json", "replicates.parquet"):
        path, whole = found[0] / name, (found[0] / name).read_bytes()
        try:
            path.write_bytes(whole.replace(b"eval", b"evaL") if name == CARD else whole[:-1] + bytes([whole[-1] ^ 1]))
            for act in (lambda: do(project, 2, override=True), lambda: project.look(2)):
                with pytest.raises(Fault, match=rf"tiny version 2: the artifact {name}"):
                    act()
            if name in (WEIGHTS, CARD):
                mlflow.set_tracking_uri(project.store.uri)
                with pytest.raises(MlflowException, match="sha256"):
                    mlflow.pyfunc.load_model("models:/tiny/2")
            path.unlink()
            with pytest.raises(Fault, match=rf"tiny version 2: .*{name} is missing|tiny version 2: its artifacts"):
                do(project, 2, override=True)
        finally:
            path.write_bytes(whole)
    assert champions(read_promotions(project.store, "tiny"))[-1] == 1


def test_a_locked_database_is_one_line_and_nothing_is_lost(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not project.store.uri.startswith("sqlite"):
        pytest.skip("a server's database is its keeper's")
    project.look(2)
    before = read_promotions(project.store, "tiny")
    locked = sqlite3.connect(project.root / ".pix2pipe/mlflow.db", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(
            Fault, match="its database is locked by another writer; nothing was written; run this again"
        ) as said:
            do(project, 2, override=True)
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    assert "\n" not in str(said.value)
    assert read_promotions(project.store, "tiny") == before
    assert project.champion() == 1
    assert do(project, 2, override=True).number == len(before) + 1


def test_unknown_versions_and_models(project: Project) -> None:
    with pytest.raises(Fault, match="tiny has no version 99; there are"):
        do(project, 99)
    with pytest.raises(Fault, match="the registry has no model other"):
        find_state(project.store, "other")


def test_a_worse_class_iou_within_its_margin_is_let_through(project: Project) -> None:
    project.look(1)
    version = project.register(fid=0.7, iou=0.95)
    verdict = project.look(version).review.verdict
    assert verdict.passed, verdict
    assert any(reason.startswith(f"{IOU}: worse by 0.007") for reason in verdict.reasons)
    assert json.loads(read_promotions(project.store, "tiny")[0].model_dump_json())["by"] == "Ann"
