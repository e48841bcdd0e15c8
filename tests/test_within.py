"""The stages from judge to report, and the commands, with a system that shows pictures in another category."""

import base64
import json
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from components.counts import check_classes
from components.evaluation.config import EvaluateConfig
from components.evaluation.evaluate import evaluate as measure
from components.faults import Fault
from components.models.card import CARD, read_card
from components.models.generator import Generator
from components.pages.curves import number
from components.pages.demo.app import demo_app
from components.pages.demo.models import load_easels, load_models
from components.params import Params
from components.review.measured import MeasuredVersion
from components.review.side_by_side import side_by_side
from components.samples.task import Task
from components.shards.manifest import Manifest
from components.shards.reader import Split
from components.shards.turns import open_turns
from components.shards.writer import write_set
from components.stage import Clock
from components.storage.home import LOCAL
from components.study.algorithms import open_algorithms
from components.study.shown import ShownPictures
from components.tracking.store import open_store, tracking_uri
from components.tracking.versions import Version, find_version
from pipelines import cli, evaluate, generate, judge, register, report, train, tune
from tests.conftest import KINDS, STYLES, write_kinds, write_styles
from tests.pages.demo.served import served
from tests.pages.demo.test_requests import answer
from tests.review.helpers import MLFLOW_WARNS
from tests.study.helpers import no_store
from tests.test_graph import SMALL

pytestmark = [*MLFLOW_WARNS, pytest.mark.filterwarnings("ignore:.*AnyType:UserWarning")]  # mlflow's own types
WITHIN = Task(source="picture", target="picture", condition="style")
SYSTEM = {"name": "star_gan", "width": 4, "blocks": 1, "critic_width": 4, "num_critic": 2}
NAME = "picture_to_another_style"


V2 = {"name": "star_gan_v2", "width": 4, "most": 8, "levels": 1, "latent": 4, "style": 4, "hidden": 8}


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, write: object = write_styles, system: dict[str, object] = SYSTEM
) -> Params:
    """All stages from judge on, in a folder of their own."""
    monkeypatch.chdir(folder)
    for name in ("MLFLOW_TRACKING_URI", "PIX2PIPE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    write(folder / "data/shards")
    own = {
        "system": system,
        "train": {"num_workers": 0, "steps": 2, "batch_size": 4, "checkpoint_every": 2, "ema": 0.5},
        "tune": {"space": {"train.learning_rate": {"choice": [1e-4, 1e-3]}}, "num_trials": 0},
        "judge": {"system": {"name": "classifier", "width": 2}, "train": {"steps": 2, "batch_size": 4}},
        "generate": {"batch_size": 4},
    }
    params = Params.model_validate(SMALL | own)
    for stage in (judge, tune, train, generate, evaluate, register, report):
        stage.main(params, Clock(stage.__name__))
    return params


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which all stages have run on things in two styles."""
    folder = tmp_path_factory.mktemp("within")
    with pytest.MonkeyPatch.context() as patch:
        run(folder, patch)
    return folder


def test_each_test_picture_is_shown_in_the_other_style(made):
    test, pictures = Split(made / "data/shards", "test"), Split(made / f"data/generated/{NAME}", "test")
    turned = {key: STYLES[1 - STYLES.index(key.rsplit("-", 1)[1])] for key in test.keys}
    assert pictures.keys == [f"{key}-to-{style}" for key, style in turned.items()]
    generator = Generator.load(made / f"data/generated/{NAME}", "cpu")
    sources = np.stack([test.picture(i, "picture") for i in range(len(test))])
    asked = np.array([STYLES.index(style) for style in turned.values()], np.uint8)
    expected = generator.make(sources=sources, conditions=asked)
    assert all(np.array_equal(pictures.picture(i, "picture"), expected[i]) for i in range(len(test)))


def test_what_is_measured_of_it(made):
    (measured,) = json.loads((made / "data/metrics/rows.json").read_text()).values()
    rows = measured["rows"]
    assert set(rows) == {"model", "real", "floor", "input"}
    ways = {f"{a} to {b}" for a in STYLES for b in STYLES if a != b}
    for row in ("model", "input"):
        assert {"l1", "psnr", "ssim", "condition_accuracy"} <= set(rows[row])
        assert set(rows[row]["kid_efficientnet_lite0_per_way"]) == ways
    mean = np.mean([each["value"] for each in rows["model"]["fid_efficientnet_lite0_per_way"].values()])
    assert rows["model"]["fid_efficientnet_lite0"]["value"] == pytest.approx(mean)
    assert set(rows["real"]) == {"condition_accuracy", "condition_accuracy_per_class"}
    assert measured["summary"]["scale"] == "input"
    assert measured["protocol"]["condition"] == "style"


def test_the_page_shows_source_made_and_truth(made):
    page = (made / "data/report/index.html").read_text()
    assert "<h1>star_gan: picture to another style</h1>" in page
    assert "test_00-soft-to-hard" in page or "test_01-soft-to-hard" in page
    assert "In every class" in page
    (measured,) = json.loads((made / "data/metrics/rows.json").read_text()).values()
    (first, second) = measured["rows"]["model"]["fid_efficientnet_lite0_per_way"].values()
    rows = re.findall(r'<th scope="row">(\w+)</th><td>(.*?)</td><td>(.*?)</td>', page)[:2]
    assert rows == [("soft", "", number(first["value"])), ("hard", number(second["value"]), "")]


def test_the_sheet_shows_sources_beside_each_class(made):
    test = Split(made / "data/shards", "test")
    generator = Generator.load(made / f"data/generated/{NAME}", "cpu")
    whole = np.asarray(Image.open(made / f"data/generated/{NAME}/sheet.png"))
    assert whole.shape == (8 * 34, 3 * 34, 3)
    for row in (0, 7):
        cells = whole[row * 34 + 1 : row * 34 + 33].reshape(32, 3, 34, 3)[:, :, 1:33]
        picture = test.picture(row, "picture")
        assert np.array_equal(cells[:, 0], picture)
        for column, style in enumerate(STYLES, 1):
            assert np.array_equal(cells[:, column], generator.in_condition(style).translate(picture[None])[0])


@pytest.mark.slow
def test_without_true_pictures_none_is_measured_against(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, write_kinds)
    (measured,) = json.loads((tmp_path / "data/metrics/rows.json").read_text()).values()
    assert not {"l1", "psnr", "ssim"} & set(measured["rows"]["model"])
    assert measured["skipped"]["pixels"].startswith("no true picture")
    assert len(measured["rows"]["model"]["fid_efficientnet_lite0_per_way"]) == 6
    pictures = Split(tmp_path / "data/generated/photo_to_another_kind", "test")
    assert pictures.keys[:2] == ["kind_test_000-to-light", "kind_test_000-to-red"]
    assert (tmp_path / "data/report/index.html").is_file()


def test_the_registered_version_is_asked_for_a_class(made, monkeypatch):
    monkeypatch.chdir(made)
    import mlflow.pyfunc

    store = open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False)
    mlflow.set_registry_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/tiny@candidate")
    test = Split(made / "data/shards", "test")
    picture, png = test.picture(0, "picture"), test.png(0, "picture")
    generator = Generator.load(made / f"data/generated/{NAME}", "cpu")
    expected = generator.in_condition("hard").translate(picture[None], padded=False)
    for given in (
        {"png": [png], "condition": ["hard"]},
        {"png": [base64.b64encode(png).decode()], "condition": ["hard"]},
        {"picture": picture[None], "condition": ["hard"]},
    ):
        assert np.array_equal(model.predict(given), expected)
    for given, said in (
        ({"png": [png]}, r"the columns png \(or picture\) and condition are taken, not png"),
        ({"png": [png], "condition": ["odd"]}, "condition odd: no such class; there are soft, hard"),
        ({"png": [png, png], "condition": ["hard"]}, "2 pictures and not as many of condition"),
    ):
        with pytest.raises(mlflow.exceptions.MlflowException, match=said):
            model.predict(given)


def test_translate_asks_for_one_class_or_for_each(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    test = Split(made / "data/shards", "test")
    picture = test.picture(0, "picture")
    (tmp_path / "in").mkdir()
    Image.fromarray(picture).save(tmp_path / "in/a.png")
    params = SMALL | {"register": {"model": "tiny"}}
    (tmp_path / "params.yaml").write_text(json.dumps(params), encoding="utf-8")
    common = ["candidate", str(tmp_path / "in"), "--params", str(tmp_path / "params.yaml"), "--out"]
    cli.main(["translate", *common, str(tmp_path / "one"), "--condition", "hard"])
    cli.main(["translate", *common, str(tmp_path / "each")])
    generated = Split(made / f"data/generated/{NAME}", "test")
    for place in ("one/a.png", "each/hard/a.png"):
        assert np.array_equal(np.asarray(Image.open(tmp_path / place)), generated.picture(0, "picture"))
    assert (tmp_path / "each/soft/a.png").is_file()
    for out, more, said in (
        ("each", [], "hard/a.png|soft/a.png: is there already; --force"),
        ("two", ["--condition", "odd"], "condition odd: no such class; there are soft, hard"),
    ):
        with pytest.raises(SystemExit, match=said):
            cli.main(["translate", *common, str(tmp_path / out), *more])
    assert not (tmp_path / "two").exists()


def test_people_are_shown_the_true_picture_of_what_was_made(made):
    algorithms = open_algorithms([], made / "data/generated", made / "data/shards", None, made / "work", no_store)
    pictures = ShownPictures(made / "data/shards", algorithms)
    assert pictures.paired
    pairs = pictures.samples(Random(0))
    assert len(pairs) == 8
    for true, key in pairs:
        source, asked = key.split("-to-")
        assert true == f"{source.rsplit('-', 1)[0]}-{asked}"


def test_the_demo_has_a_place_for_each_class(made, monkeypatch):
    monkeypatch.chdir(made)
    store = open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False)
    models = load_models(store, [find_version(store, "tiny", "candidate")])
    easels = load_easels(store, models, made / "data/shards")
    assert [easel.title for easel in easels] == ["picture to soft", "picture to hard"]
    found = easels[0].samples.read(0)
    assert (found.key, found.truth) == ("test_00-soft", None)
    picture = found.source
    generator = Generator.load(made / f"data/generated/{NAME}", "cpu")
    with served(demo_app(easels, "", "127.0.0.1")) as address:
        for kind, style in enumerate(STYLES):
            path, raw = f"/translate/{NAME}_{kind}", {"content-type": "application/octet-stream"}
            status, _, body = answer(address, "POST", path, picture.tobytes(), **raw)
            assert status == 200
            shown = np.frombuffer(base64.b64decode(json.loads(body)["pictures"][0]), np.uint8).reshape(32, 32, 3)
            expected = generator.in_condition(style).translate(picture[None], padded=False)[0]
            assert np.abs(shown.astype(int) - expected).max() <= 1
        _, _, page = answer(address, "GET", "/")
    assert "<h1>Picture to another style</h1>" in page.decode()
    assert ">Picture to hard</h2>" in page.decode()


def test_a_review_shows_the_source_and_the_truth(made):
    measured = json.loads((made / "data/metrics/rows.json").read_text())[NAME]
    folder = made / f"data/generated/{NAME}"
    version = Version("tiny", 1, (), {}, "", "", "", 0)
    kept = MeasuredVersion(version, folder, read_card(folder / CARD), measured, {})
    test = Split(made / "data/shards", "test")
    for sample in side_by_side(made / "data/shards", kept, None, 3):
        source, asked = sample.key.split("-to-")
        true = f"{source.rsplit('-', 1)[0]}-{asked}"
        for column, key in (("source", source), ("truth", true)):
            assert np.array_equal(sample.pictures[column], test.picture(test.keys.index(key), "picture"))


def copies(shards: Path, root: Path, picture: object) -> Split:
    """A generated set in which each turn shows what `picture(turns, i)` gives."""
    test = Split(shards, "test")
    turns = open_turns(test, "style")
    samples = [(key, {"picture": picture(turns, i)}) for i, key in enumerate(turns.keys)]
    domains = {"picture": test.domains["picture"]}
    write_set(root, "made", domains, Task(target="picture"), {"test": samples})
    return Split(root, "test")


def test_the_truth_is_as_good_as_can_be_and_the_input_as_the_row_of_that_name(tmp_path):
    shards = write_styles(tmp_path / "shards", counts=(4, 2, 3))
    train_split, test = Split(shards, "train"), Split(shards, "test")
    config, cache = EvaluateConfig(num_bootstrap=40), tmp_path / "cache"
    true = copies(shards, tmp_path / "true", lambda turns, i: test.picture(int(turns.truths[i]), "picture"))
    same = copies(shards, tmp_path / "same", lambda turns, i: test.picture(int(turns.places[i]), "picture"))
    best, idle = (measure(config, train_split, test, split, WITHIN, None, cache).metrics for split in (true, same))
    assert best["rows"]["model"]["l1"]["value"] == 0
    assert best["rows"]["model"]["ssim"]["value"] == pytest.approx(1)
    for way in best["rows"]["model"]["fid_efficientnet_lite0_per_way"].values():
        assert way["value"] == pytest.approx(0, abs=1e-3)
    for name in ("fid_efficientnet_lite0", "kid_efficientnet_lite0", "l1"):
        assert idle["rows"]["model"][name]["value"] == pytest.approx(idle["rows"]["input"][name]["value"], rel=1e-6)
    assert idle["rows"]["model"]["l1"]["value"] > 10
    assert idle["summary"]["no_better_than_input"] == ["fid", "kid"]
    assert idle["skipped"]["condition"] == "no judge that reads style from picture"


def test_a_category_without_test_pictures_is_named(tmp_path, monkeypatch):
    def write(root: Path) -> Path:
        return write_kinds(root, counts=(24, 8, 4))  # of red there is one

    with pytest.raises(Fault, match="kind light has 1 of the test samples, and pictures are to be shown in it"):
        run(tmp_path, monkeypatch, write)


def test_such_a_category_is_refused_when_the_shards_are_written(tmp_path):
    params = Params.model_validate(SMALL | {"system": SYSTEM})
    check_classes(params, Manifest.read(write_kinds(tmp_path / "enough")))
    with pytest.raises(Fault, match="kind light has 1 of the test samples"):
        check_classes(params, Manifest.read(write_kinds(tmp_path / "few", counts=(24, 8, 4))))


def test_turns_pair_what_keys_tell(tmp_path):
    shards = write_styles(tmp_path / "shards")
    test = Split(shards, "test")
    turns = open_turns(test, "style")
    assert turns.truths is not None
    for i, key in enumerate(turns.keys):
        source, asked = key.split("-to-")
        assert test.keys[turns.places[i]] == source
        assert test.keys[turns.truths[i]] == f"{source.rsplit('-', 1)[0]}-{asked}"
    unknown = open_turns(Split(write_styles(tmp_path / "other", alike=False), "test"), "style")
    assert unknown.truths is None
    assert all(unknown.shown[unknown.partners] == unknown.asked)
    kinds = open_turns(Split(write_kinds(tmp_path / "kinds"), "test"), "kind")
    assert len(kinds.keys) == 8 * (len(KINDS) - 1)
    assert all(kinds.shown[kinds.places] != kinds.asked)


@pytest.mark.slow
def test_by_a_latent_and_by_a_reference(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, system=V2)
    metrics = json.loads((tmp_path / "data/metrics/rows.json").read_text())
    assert list(metrics) == [NAME, f"{NAME}_by_reference"]
    test = Split(tmp_path / "data/shards", "test")
    turns, sets = open_turns(test, "style"), {}
    for name in metrics:
        made, generator = (
            Split(tmp_path / f"data/generated/{name}", "test"),
            Generator.load(tmp_path / f"data/generated/{name}", "cpu"),
        )
        sets[name] = [made.picture(i, "picture") for i in range(len(made))]
        assert made.keys == turns.keys
    references = np.stack([test.picture(int(i), "picture") for i in turns.references])
    sources = np.stack([test.picture(int(i), "picture") for i in turns.places])
    expected = generator.make(sources=sources, conditions=turns.asked, references=references)
    assert np.array_equal(np.stack(sets[f"{NAME}_by_reference"]), expected)
    assert all((turns.shown[turns.references] == turns.asked) & (turns.references != turns.truths))
    page = (tmp_path / "data/report/index.html").read_text()
    assert "picture to another style by reference" in page
    import mlflow.pyfunc

    store = open_store(tracking_uri(LOCAL), LOCAL, "pix2pipe", make=False)
    mlflow.set_registry_uri(store.uri)
    model = mlflow.pyfunc.load_model("models:/tiny-picture-to-another-style-by-reference@candidate")
    given = {"picture": sources[:1], "condition": [STYLES[turns.asked[0]]], "reference": references[:1]}
    assert np.array_equal(
        model.predict(given),
        generator.make(sources=sources[:1], conditions=turns.asked[:1], references=references[:1], padded=False),
    )
    (tmp_path / "in").mkdir()
    for name, picture in (("in/a", sources[0]), ("reference", references[0])):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "params.yaml").write_text(json.dumps(SMALL | {"register": {"model": "tiny"}}), encoding="utf-8")
    command = ["translate", "candidate", "in", "--out", "out", "--condition", STYLES[turns.asked[0]]]
    by_reference = ["--model", "tiny-picture-to-another-style-by-reference"]
    cli.main([*command, *by_reference, "--reference", "reference.png"])
    assert np.array_equal(np.asarray(Image.open("out/a.png")), expected[0])
    for more, said in ((by_reference, "give --reference"), (["--reference", "reference.png"], "takes no --reference")):
        with pytest.raises(SystemExit, match=said):
            cli.main([*command, "--force", *more])
