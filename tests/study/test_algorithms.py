"""Whose pictures are shown: generated sets, registered versions, sides without pairs; and where the result goes."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from components.faults import Fault
from components.models.asked import unlike
from components.models.card import read_cards
from components.pages.config import ReportConfig
from components.pages.report import build_report
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.storage.files import write_json
from components.study.algorithms import open_algorithms
from components.study.result import FIGURE
from components.study.shown import ShownPictures
from components.tracking.config import RegisterConfig
from components.tracking.record import Outputs, gather
from components.tracking.registry import register_all
from components.tracking.run import log_record
from components.tracking.store import Store, open_store
from components.tracking.study import log_study
from tests.pages.test_report import inputs
from tests.stage_outputs import BOTH_WAYS, KEY, build_outputs
from tests.study.helpers import no_store, write_generated

pytestmark = [
    # mlflow's own: its tables still use a loader strategy that SQLAlchemy 2.1 is leaving,
    pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning"),
    # and its types of chat messages trip its own check of type hints when it is imported.
    pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_shards: Path) -> Path:
    return build_outputs(tmp_path_factory.mktemp("project"), tiny_shards)


@pytest.fixture(scope="module")
def store(project: Path) -> Store:
    """With version 1 of the model `tiny`, the candidate."""
    data = project / "data"
    timed = project / f".pix2pipe/runs/{KEY}/throughput.json"
    outputs = Outputs(data / "runs", data / "generated", data / "metrics", timed, project / "dvc.lock")
    opened = open_store(f"sqlite:///{project}/.pix2pipe/mlflow.db", project / ".pix2pipe", "tests")
    register_all(opened, log_record(opened, gather(outputs, "b" * 40)), outputs, RegisterConfig(model="tiny"))
    return opened


def test_a_version_shows_what_generate_made(project: Path, store: Store, tmp_path: Path):
    shards, generated = project / "data/shards", project / "data/generated"
    named = [f"set={generated}", "version=tiny@candidate", "number=models:/tiny@1"]
    algorithms = open_algorithms(named, generated, shards, None, tmp_path, lambda: store)
    assert [algorithm.version for algorithm in algorithms] == [None, "tiny version 1", "tiny version 1"]
    first, second = (Split(algorithm.folder, "test") for algorithm in algorithms[:2])
    assert first.keys == second.keys
    assert all(np.array_equal(first.picture(i, "photo"), second.picture(i, "photo")) for i in range(len(first)))
    assert algorithms[0].about()["weights_sha256"] == algorithms[1].about()["weights_sha256"]
    with pytest.raises(Fault, match="tiny has no version champion"):
        open_algorithms(["x=tiny@champion"], generated, shards, None, tmp_path, lambda: store)


def test_the_figure_is_on_the_run_once(store: Store):
    figures = {f"study/{FIGURE}": 26.8, f"study/{FIGURE}.low": 24.0, "study/participants": 50.0}
    run_id = log_study(store, KEY, None, figures, "ab" * 32)
    assert run_id is not None
    assert log_study(store, "", run_id, figures, "ab" * 32) == run_id
    run = store.client.get_run(run_id)
    assert run.data.metrics.items() >= figures.items()
    assert run.data.tags["pix2pipe.study"] == "ab" * 32
    assert len(store.client.get_metric_history(run_id, f"study/{FIGURE}")) == 1
    log_study(store, KEY, None, figures | {f"study/{FIGURE}": 30.0}, "ab" * 32)
    assert store.client.get_run(run_id).data.metrics[f"study/{FIGURE}"] == 30.0
    assert log_study(store, "f" * 16, None, figures, "ab" * 32) is None


def test_the_report_shows_it(project: Path, tmp_path: Path):
    file = tmp_path / "result.json"
    where = inputs(project)
    plain = build_report(where, ReportConfig(pictures=1))
    for empty in (None, {}):
        if empty is not None:
            write_json(file, empty)
        where = type(where)(**{**where.__dict__, "study": file})
        assert 'id="study"' not in build_report(where, ReportConfig(pictures=1))
    figure = {"value": 26.8, "low": 24.1, "high": 29.7, "std": 1.4, "note": "few: 4 participants"}
    protocol = {"practice": 10, "trials": 40, "vigilance": 5, "max_missed": 1, "paired": True}
    counts = {"participants": 4, "set_aside": 1, "incomplete": 2}
    rows = {"<b>ours</b>": counts | {FIGURE: figure}, "other": counts | {"participants": 0}}
    exposure = {"value": 1000.2, "low": 998.0, "high": 1004.0}
    write_json(file, {"protocol": protocol, "algorithms": rows, "exposure_ms": exposure}, in_order=True)
    page = build_report(where, ReportConfig(pictures=1))
    assert 'id="study"' in page
    assert 'id="study"' not in plain
    for words in ("26.8 % ± 1.4", "24.1 to 29.7 %", "&lt;b&gt;ours", "nobody yet", "few: 4", "1000 ms (998 to 1004"):
        assert words in page, words
    assert "<b>ours" not in page


def test_both_directions_can_be_asked_about(tmp_path: Path, tiny_shards: Path):
    project = build_outputs(tmp_path / "both", tiny_shards, BOTH_WAYS)
    shards, generated = project / "data/shards", project / "data/generated"
    named = [f"first={generated}", f"again={generated}"]
    forward = open_algorithms(named, generated, shards, None, tmp_path, no_store)  # type: ignore[arg-type]
    assert {algorithm.card.name for algorithm in forward} == {"labels_to_photo"}
    back = open_algorithms([], generated, shards, "photo_to_labels", tmp_path, no_store)  # type: ignore[arg-type]
    assert back[0].about()["makes"]
    assert len(ShownPictures(shards, back).everything(back[0].name)) == 8  # label maps, drawn in their palette
    mixed = [f"first={generated}", f"other={generated / 'photo_to_labels'}"]
    with pytest.raises(Fault, match="other: translates photo_to_labels, but the study is about labels_to_photo"):
        open_algorithms(mixed, generated, shards, None, tmp_path, no_store)  # type: ignore[arg-type]
    with pytest.raises(Fault, match="first is named twice"):
        open_algorithms([named[0]] * 2, generated, shards, None, tmp_path, no_store)  # type: ignore[arg-type]
    with pytest.raises(Fault, match=r"has no direction a_to_b; it has labels_to_photo, photo_to_labels"):
        open_algorithms([], generated, shards, "a_to_b", tmp_path, no_store)  # type: ignore[arg-type]


def test_without_pairs_any_true_picture_stands_beside(tmp_path: Path, tiny_sides: Path):
    generated = write_generated(tmp_path / "made", tiny_sides, 10)
    algorithms = open_algorithms([], generated, tiny_sides, None, tmp_path, no_store)  # type: ignore[arg-type]
    pictures = ShownPictures(tiny_sides, algorithms)
    assert not pictures.paired
    samples = pictures.samples(Random(0))
    assert len(samples) == 6  # 6 labels, 9 photos
    assert len({real for real, _ in samples}) == len({fake for _, fake in samples}) == 6
    pictures.require(6)
    with pytest.raises(Fault, match="there are only 6 test samples"):
        pictures.require(7)


def test_a_set_of_other_samples_is_refused(tmp_path: Path, tiny_shards: Path, study_shards: Path):
    generated = write_generated(tmp_path / "made", study_shards, 10)
    algorithms = open_algorithms([], generated, tiny_shards, None, tmp_path, no_store)  # type: ignore[arg-type]
    with pytest.raises(Fault, match=r"sample tiny_test_\d+ is not in"):
        ShownPictures(tiny_shards, algorithms)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": (64, 48)}, "labels of 64x48, and this model knows labels of 32x32"),
        ({"classes": ("a", "b", "c", "d")}, "labels of another kind or with other classes"),
        ({"encoding": "colour"}, ""),  # how networks see them, which is the card's alone
    ],
)
def test_shards_are_those_that_a_version_needs(project: Path, change: dict[str, object], said: str):
    card, manifest = read_cards(project / "data/generated")[0], Manifest.read(project / "data/shards")
    assert unlike(card, manifest) == ""
    domains = manifest.domains | {"labels": manifest.domains["labels"].model_copy(update=change)}
    found = unlike(card, manifest.model_copy(update={"domains": domains}))
    assert found.startswith(said)
    assert bool(found) == bool(said)
    photos = {"photo": manifest.domains["photo"]}
    assert unlike(card, manifest.model_copy(update={"domains": photos})) == "no labels; there are photo"
